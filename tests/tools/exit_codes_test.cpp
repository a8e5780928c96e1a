#include "tools/exit_codes.h"

#include <gtest/gtest.h>

namespace millrace::tools {
namespace {

TEST(ExitCodes, ARequestWithoutAnAnswerIsUnknownAndOneThatWasNotSentUnavailable) {
  EXPECT_EQ(exit_code_of(ErrorCode::unavailable), k_exit_unavailable);
  EXPECT_EQ(exit_code_of(ErrorCode::connection_lost), k_exit_unknown);
  EXPECT_EQ(exit_code_of(ErrorCode::sync_failed), k_exit_unknown);
  EXPECT_EQ(exit_code_of(ErrorCode::unknown_topic), k_exit_failure);
}

// A unit file restarts a server after any failure but a failed sync.
TEST(ExitCodes, AServerHasOneCodeForAFailedSyncAndOneForTheRest) {
  EXPECT_EQ(serve_exit_code_of(ErrorCode::sync_failed), k_exit_sync_failed);
  for (std::uint16_t number = 0; number < 100; ++number) {
    const auto code = error_code(number);
    if (code && *code != ErrorCode::sync_failed)
      EXPECT_EQ(serve_exit_code_of(*code), k_exit_failure) << number;
  }
}

}  // namespace
}  // namespace millrace::tools

// What an errno means for each verb, in one table (tests/reactor/errno_table_test.cpp enumerates it).
#pragma once

#include <cstdint>
#include <span>

#include "engine/base/error.h"
#include "engine/reactor/request.h"

namespace millrace {

// A set of verbs, one bit each.
using VerbSet = std::uint32_t;
constexpr VerbSet verb_set(Verb verb) {
  return VerbSet{1} << static_cast<unsigned>(verb);
}

struct ErrnoRow {
  int error;  // 0: every errno that no row above names for the verb
  VerbSet verbs;
  bool synced;  // only where the caller asked for durability (Sync::data and the sync verbs)
  ErrorCode code;
  const char* advice;  // what to do, or ""
};

// The first row that fits decides; the last fits everything.
[[nodiscard]] std::span<const ErrnoRow> errno_rows();
[[nodiscard]] const ErrnoRow& errno_row(Verb verb, Sync sync, int error);

// Whether the operation is worth another attempt, because the reason passes by itself. A sync never is: after
// a failed one the next may succeed without having written what that one lost. `syncs`: it is the fdatasync
// of a synced write.
[[nodiscard]] bool is_passing(Verb verb, bool syncs, int error);

// "write topics/3/1.log at 4096: No space left on device (ENOSPC); free some space"
[[nodiscard]] Error error_of(const Request& request, int error);
// The same for a call outside any operation: "io_uring_setup: Operation not permitted (EPERM)".
[[nodiscard]] std::string errno_text(int error);

}  // namespace millrace

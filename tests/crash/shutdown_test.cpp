// How the real server ends, and on which folders it begins.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/crash/ledger.h"
#include "tests/crash/load.h"
#include "tests/crash/serving.h"

namespace millrace::test {
namespace {

using testing::HasSubstr;
using testing::Not;

LoadMix heavy_load() {
  LoadMix mix;
  mix.small = 30;
  mix.medium = 5;
  mix.large = 3;
  mix.burst_max = 20;
  mix.topics = 2;
  mix.segment_bytes = 256u << 10;
  mix.workers = 16;
  mix.steps = 1'000'000;  // until the server goes
  mix.producer.batch_bytes = 64u << 10;
  mix.producer.buffered_bytes_max = 2u << 20;
  return mix;
}

// A folder that servers start on, and what is known to be in it.
class Stop : public testing::Test {
 protected:
  [[nodiscard]] std::string data() const { return folder_.path("data"); }

  // Lets clients work until the server goes; calls `act` when this many batches have been acknowledged.
  void work(const ServerProcess& server, std::uint64_t batches, const std::function<void()>& act) {
    with_client(server, [&](Client& client) -> Task<void> {
      Load load(client, ledger_, random_, heavy_load());
      load.on_acknowledged = [&] {
        if (--batches == 0) act();
      };
      co_await load.run();
    });
  }

  void expect_everything(const ServerProcess& server) {
    with_client(server, [&](Client& client) -> Task<void> {
      const auto checked = co_await ledger_.check(client, CheckDepth::everything);
      EXPECT_TRUE(checked) << checked.error().message;
    });
  }

  TestFolder folder_;
  SimRandom random_{1};
  Ledger ledger_;
};

TEST_F(Stop, UnderLoadAcknowledgesWhatWasTakenRefusesTheRestAndLeavesNothingToCut) {
  for (std::uint32_t start = 0; start < 4; ++start) {
    ServerProcess server(data(), server_flags(1 + start % 3));
    ASSERT_FALSE(server.address().empty());
    expect_everything(server);
    const std::uint64_t before = ledger_.acknowledged();
    work(server, 100, [&] { server.process().signal(SIGTERM); });
    EXPECT_EQ(server.process().wait(), 0);
    const std::string errors = server.process().errors();
    EXPECT_THAT(errors, HasSubstr(start == 0 ? "is new" : "was left by a clean stop"));
    EXPECT_THAT(errors, Not(HasSubstr("cut")));
    EXPECT_GT(ledger_.acknowledged(), before + 100);
    // What was taken was acknowledged: of what was sent and not answered, nothing is there.
    ledger_.forget_open();
    ASSERT_FALSE(HasFailure());
  }
}

TEST_F(Stop, OfFourShardsOpensWithOneAndTheOtherWayRound) {
  for (const std::uint32_t shards : {4u, 1u, 4u, 2u}) {
    ServerProcess server(data(), server_flags(shards));
    ASSERT_FALSE(server.address().empty());
    expect_everything(server);
    work(server, 50, [&] { server.process().signal(SIGTERM); });
    EXPECT_EQ(server.process().wait(), 0);
    ASSERT_FALSE(HasFailure()) << server.process().errors();
  }
  EXPECT_GT(ledger_.acknowledged(), 200u);
}

}  // namespace
}  // namespace millrace::test

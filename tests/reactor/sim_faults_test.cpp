// Faults of disks as programs meet them.
#include <cerrno>
#include <gmock/gmock.h>
#include <set>

#include "tests/reactor/sim_story.h"

namespace millrace {
namespace {

class SimFaultTest : public testing::Test {
 protected:
  Result<void> stored(Durability durability = k_all_of_it) {
    Result<void> result;
    EXPECT_EQ(world.run(node,
                        [&](Reactor& reactor) -> Task<void> {
                          result = co_await store(reactor, "file" + std::to_string(node.starts()), "content",
                                                  durability);
                        }),
              SimEnd::reached);
    return result;
  }
  ErrorCode failure(Durability durability = k_all_of_it) {
    const auto result = stored(durability);
    return code_of(result);
  }
  SimWorld world{12};
  SimNode& node = world.add_node("node");
  SimFaults& faults = node.disk().faults();
};

TEST_F(SimFaultTest, TheNthOperationFailsOnceOrForEver) {
  ASSERT_TRUE(stored());
  const std::uint64_t operations = faults.operations();
  EXPECT_EQ(operations, 4U);
  for (std::uint64_t n = 1; n <= operations; ++n) {
    faults.fail_nth(n, EIO);
    EXPECT_NE(failure(), ErrorCode{}) << "operation " << n;
    EXPECT_EQ(failure(), ErrorCode{}) << "operation " << n;
  }
  faults.fail_nth(2, EIO, SimFaults::k_forever);
  EXPECT_EQ(failure(), ErrorCode::sync_failed);
  EXPECT_EQ(failure(), ErrorCode::io_error);
  faults.clear();
  EXPECT_EQ(failure(), ErrorCode{});
}

TEST_F(SimFaultTest, AFailedSyncIsFinalAndAFullDiskIsNot) {
  faults.fail({.matches = on(Verb::sync), .error = EIO});
  EXPECT_EQ(failure(), ErrorCode::sync_failed);
  faults.fail({.matches = on(Verb::write), .error = ENOSPC});
  EXPECT_EQ(failure(), ErrorCode::disk_full);
  node.disk().set_capacity(node.disk().used());
  EXPECT_EQ(failure(), ErrorCode::disk_full);
  node.disk().set_capacity(1_GiB);
  EXPECT_EQ(failure(), ErrorCode{});
}

TEST_F(SimFaultTest, WithoutSyncedWritesAWriteIsFollowedByASync) {
  faults.refuse_synced_writes = true;
  ASSERT_TRUE(stored({.write = Sync::data, .sync_folder = true}));
  EXPECT_EQ(faults.operations(), 4U);  // open, write, sync, sync folder
  EXPECT_EQ(node.disk().pending(), 0U);
  faults.fail({.matches = on(Verb::sync), .error = EIO});
  EXPECT_EQ(failure({.write = Sync::data}), ErrorCode::sync_failed);
}

TEST_F(SimFaultTest, WritesGetLostAndGoAstray) {
  node.disk().write_file("file1", "");
  const auto overwrite = [&](std::string_view text) {
    EXPECT_EQ(
        world.run(node,
                  [&](Reactor& reactor) -> Task<void> {
                    const File file = must(co_await reactor.open("file1", {.mode = OpenMode::read_write}));
                    EXPECT_EQ(must(co_await reactor.write(file, slice_of(reactor, text), 0, Sync::data)),
                              text.size());
                  }),
        SimEnd::reached);
    return node.disk().read_file("file1");
  };
  faults.fail({.matches = on(Verb::write), .kind = SimFaults::Kind::lose});
  EXPECT_EQ(overwrite("1"), "");
  faults.fail({.matches = on(Verb::write), .kind = SimFaults::Kind::misdirect, .shift = 2});
  EXPECT_EQ(overwrite("2"), std::string("\0\0002", 3));
  EXPECT_EQ(overwrite("3"), std::string("3\0002", 3));
}

TEST_F(SimFaultTest, AnOperationMayFailAfterItHasTakenEffect) {
  faults.fail({.matches = on(Verb::write), .kind = SimFaults::Kind::fail_late});
  EXPECT_EQ(failure(), ErrorCode::sync_failed);
  EXPECT_EQ(node.disk().read_file("file1"), "content");
  faults.fail({.matches = on(Verb::open), .kind = SimFaults::Kind::fail_late});
  EXPECT_EQ(failure(), ErrorCode::io_error);
  EXPECT_TRUE(node.disk().read_file("file2").has_value());
  // A sync that fails has made nothing durable.
  faults.fail({.matches = on(Verb::sync), .kind = SimFaults::Kind::fail_late});
  EXPECT_EQ(failure(), ErrorCode::sync_failed);
  EXPECT_GT(node.disk().pending(), 0U);
}

TEST_F(SimFaultTest, AFailedSyncMayForgetItsPages) {
  faults.refuse_synced_writes = true;
  const auto then_sync = [&](OpenOptions options) {
    ErrorCode code{};
    EXPECT_EQ(world.run(node,
                        [&](Reactor& reactor) -> Task<void> {
                          const File file = must(co_await reactor.open("file1", options));
                          const Slice block{must(reactor.buffers().acquire(k_block_size)), 0, k_block_size};
                          std::ranges::fill(block.buffer.bytes(), std::byte{'n'});
                          code = code_of(co_await reactor.write(file, block, 0, Sync::data));
                          must(co_await reactor.sync(file));
                        }),
              SimEnd::reached);
    return code;
  };
  for (const bool direct : {false, true}) {
    node.disk().write_file("file1", std::string(k_block_size, 'o'));
    faults.fail({.matches = on(Verb::sync), .kind = SimFaults::Kind::fail_and_forget});
    EXPECT_EQ(then_sync({.mode = OpenMode::read_write, .direct = direct}), ErrorCode::sync_failed);
    EXPECT_EQ(node.disk().read_file("file1"), std::string(k_block_size, 'n'));
    node.power_cut(SimCut::keep_all);
    EXPECT_EQ(node.disk().read_file("file1"), std::string(k_block_size, direct ? 'n' : 'o'));
  }
}

TEST_F(SimFaultTest, AReadMeetsAWriteInFlightSectorBySector) {
  std::set<std::string> seen;
  node.disk().write_file("file1", std::string(1024, 'o'));
  EXPECT_EQ(
      world.run(node,
                [&](Reactor& reactor) -> Task<void> {
                  const File file = must(co_await reactor.open("file1", {.mode = OpenMode::read_write}));
                  faults.latency_min = faults.latency_max = std::chrono::milliseconds(10);
                  auto writing = reactor.write(file, slice_of(reactor, std::string(1024, 'n')), 0, Sync::no);
                  must(co_await reactor.sleep(std::chrono::microseconds(100)));
                  faults.latency_min = faults.latency_max = std::chrono::microseconds(10);
                  for (int i = 0; i < 50; ++i) {
                    const Slice back = slice_of(reactor, std::string(1000, ' '));
                    EXPECT_EQ(must(co_await reactor.read(file, back, 10)), 1000U);
                    const std::string text(reinterpret_cast<const char*>(back.bytes().data()), 1000);
                    seen.insert({text[0], text[501], text[502], text[999]});
                  }
                  must(co_await writing);
                }),
      SimEnd::reached);
  EXPECT_THAT(seen, testing::ElementsAre("nnnn", "nnoo", "oonn", "oooo"));
}

TEST(SimFaultDeathTest, ABufferThatChangesUnderAWriteIsOurBug) {
  const auto change = [] {
    SimWorld world(1);
    SimNode& node = world.add_node("node");
    (void)world.run(node, [](Reactor& reactor) -> Task<void> {
      const File file = must(co_await reactor.open("file", {.mode = OpenMode::create}));
      const Slice slice = slice_of(reactor, "bytes");
      auto writing = reactor.write(file, slice, 0, Sync::no);
      slice.buffer.data()[4] = std::byte{'S'};
      must(co_await writing);
    });
  };
  EXPECT_DEATH(change(), "have changed since they were submitted");
}

TEST_F(SimFaultTest, ATransferCutShortGoesOnUnlessItsBytesWereToBeDurable) {
  const std::string content(100'000, 'x');
  const auto write_and_read = [&](Sync sync) {
    ErrorCode code{};
    EXPECT_EQ(world.run(node,
                        [&](Reactor& reactor) -> Task<void> {
                          const File file = must(co_await reactor.open("file", {.mode = OpenMode::create}));
                          const auto written =
                              co_await reactor.write(file, slice_of(reactor, content), 0, sync);
                          code = code_of(written);
                          if (!written) co_return;
                          Buffer buffer = *reactor.buffers().acquire(content.size());
                          const auto size = static_cast<std::uint32_t>(content.size());
                          EXPECT_EQ(must(co_await reactor.read(file, Slice{buffer, 0, size}, 0)), size);
                          EXPECT_EQ(buffer.bytes()[size - 1], std::byte{'x'});
                          must(co_await reactor.remove_file("file"));
                        }),
              SimEnd::reached);
    return code;
  };
  faults.fail({.matches = on_transfers(), .kind = SimFaults::Kind::cut_short, .times = 2});
  EXPECT_EQ(write_and_read(Sync::no), ErrorCode{});
  EXPECT_EQ(faults.hits(), 2U);
  faults.fail({.matches = on_transfers(), .kind = SimFaults::Kind::cut_short});
  EXPECT_EQ(write_and_read(Sync::data), ErrorCode::sync_failed);
  EXPECT_EQ(node.disk().read_file("file"), content);
}

TEST_F(SimFaultTest, OperationsAreCountedByVerbAndSoAreHits) {
  ASSERT_TRUE(stored());
  EXPECT_EQ(faults.operations(Verb::write), 1U);
  EXPECT_EQ(faults.operations(Verb::read), 0U);
  EXPECT_EQ(faults.describe(), "open 1, write 1, sync 1, sync folder 1");
  EXPECT_EQ(faults.hits(), 0U);
  faults.fail_nth(2, EIO);
  EXPECT_NE(failure(), ErrorCode{});
  faults.clear();
  EXPECT_EQ(faults.hits(), 1U);
  EXPECT_EQ(faults.operations(Verb::write), 2U);
}

TEST_F(SimFaultTest, ShortWritesGoOnAndStallsEnd) {
  faults.short_transfers = 1'000'000;
  faults.stalls = 1'000'000;
  EXPECT_EQ(world.run(node,
                      [&](Reactor& reactor) -> Task<void> {
                        must(co_await store(reactor, "file", std::string(100'000, 'x'), k_all_of_it));
                      }),
            SimEnd::reached);
  EXPECT_EQ(node.disk().read_file("file"), std::string(100'000, 'x'));
}

}  // namespace
}  // namespace millrace

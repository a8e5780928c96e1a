// The contract of Reactor: files, folders and names.
#include <gmock/gmock.h>

#include "engine/base/limits.h"
#include "tests/reactor/contract_harness.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_P(ReactorContract, WrittenBytesAreReadBack) {
  run([&](Reactor& reactor) -> Task<void> {
    const File file = co_await created(reactor, path("a"));
    EXPECT_EQ(must(co_await reactor.write(file, slice_of(reactor, "hello, disk"), 3, Sync::no)), 11U);
    EXPECT_EQ(must(co_await reactor.size(file)), 14U);
    const Slice back = space(reactor, 5);
    EXPECT_EQ(must(co_await reactor.read(file, back, 10)), 4U);
    EXPECT_EQ(text_of(back, 4), "disk");
  });
}

TEST_P(ReactorContract, ReadsEndAtTheEndOfTheFile) {
  run([&](Reactor& reactor) -> Task<void> {
    const File file = co_await created(reactor, path("a"));
    must(co_await reactor.write(file, slice_of(reactor, "0123456789"), 0, Sync::data));
    const Slice back = space(reactor, 4096);
    EXPECT_EQ(must(co_await reactor.read(file, back, 0)), 10U);
    EXPECT_EQ(must(co_await reactor.read(file, back, 10)), 0U);
    EXPECT_EQ(must(co_await reactor.read(file, back, 5000)), 0U);
  });
}

TEST_P(ReactorContract, SlicesStandInOrder) {
  run([&](Reactor& reactor) -> Task<void> {
    const File file = co_await created(reactor, path("a"));
    Slices from;
    std::string expected;
    while (!from.full()) {
      const std::string word = "word" + std::to_string(from.count()) + " ";
      from.push(slice_of(reactor, word));
      expected += word;
    }
    EXPECT_EQ(must(co_await reactor.write(file, from, 0, Sync::data)), expected.size());
    Slices into;
    into.push(space(reactor, 7));
    into.push(space(reactor, 4096));
    EXPECT_EQ(must(co_await reactor.read(file, into, 0)), expected.size());
    EXPECT_EQ(text_of(into[0], 7) + text_of(into[1], expected.size() - 7), expected);
  });
}

TEST_P(ReactorContract, BytesSurviveAnotherStart) {
  run([&](Reactor& reactor) -> Task<void> {
    const File file = co_await created(reactor, path("a"));
    must(co_await reactor.write(file, slice_of(reactor, "still here"), 0, Sync::data));
    must(co_await reactor.sync_folder(path(".")));
  });
  run([&](Reactor& reactor) -> Task<void> {
    const File file = must(co_await reactor.open(path("a"), {}));
    const Slice back = space(reactor, 10);
    EXPECT_EQ(must(co_await reactor.read(file, back, 0)), 10U);
    EXPECT_EQ(text_of(back, 10), "still here");
  });
}

TEST_P(ReactorContract, DirectFilesTakeWholeBlocks) {
  run([&](Reactor& reactor) -> Task<void> {
    const File file = must(co_await reactor.open(path("a"), {.mode = OpenMode::create, .direct = true}));
    must(co_await reactor.allocate(file, 0, 64_KiB));
    const Slice large = pattern(reactor, 32 << 10, 1);
    const Slice small = pattern(reactor, 4 << 10, 2);
    EXPECT_EQ(must(co_await reactor.write(file, large, 4096, Sync::data)), 32_KiB);
    Slices two{small};
    two.push(Slice{large.buffer, 4096, 8192});
    EXPECT_EQ(must(co_await reactor.write(file, two, 40_KiB, Sync::data)), 12_KiB);
    must(co_await reactor.sync(file));
    const Slice back = space(reactor, 32 << 10);
    EXPECT_EQ(must(co_await reactor.read(file, back, 4096)), 32_KiB);
    EXPECT_TRUE(equal(back, large));
    const Slice back_small = space(reactor, 4 << 10);
    EXPECT_EQ(must(co_await reactor.read(file, back_small, 40_KiB)), 4_KiB);
    EXPECT_TRUE(equal(back_small, small));
  });
}

// Registered memory is one ring's alone.
TEST_P(ReactorContract, ABufferOfAnotherShardIsWrittenAndReadInto) {
  run(2, [&](Reactor& reactor) -> Task<void> {
    const Slice from = pattern(reactor, k_block_size, 1);
    const Slice into = space(reactor, k_block_size);
    co_await on_shard(reactor, ShardId{1}, [&](Reactor& there) -> Task<void> {
      const File file = co_await created(there, path("a"));
      EXPECT_EQ(must(co_await there.write(file, from, 0, Sync::data)), k_block_size);
      EXPECT_EQ(must(co_await there.read(file, into, 0)), k_block_size);
    });
    EXPECT_TRUE(equal(from, into));
  });
}

TEST_P(ReactorContract, AllocatedSpaceIsZeros) {
  run([&](Reactor& reactor) -> Task<void> {
    const File file = co_await created(reactor, path("a"));
    must(co_await reactor.allocate(file, 0, 8192));
    EXPECT_EQ(must(co_await reactor.size(file)), 8192U);
    const Slice back = pattern(reactor, 8192, 9);
    EXPECT_EQ(must(co_await reactor.read(file, back, 0)), 8192U);
    EXPECT_TRUE(std::ranges::all_of(back.bytes(), [](std::byte b) { return b == std::byte{}; }));
  });
}

TEST_P(ReactorContract, ResizeCutsAndExtends) {
  run([&](Reactor& reactor) -> Task<void> {
    const File file = co_await created(reactor, path("a"));
    must(co_await reactor.write(file, slice_of(reactor, "0123456789"), 0, Sync::data));
    must(co_await reactor.resize(file, 4));
    EXPECT_EQ(must(co_await reactor.size(file)), 4U);
    must(co_await reactor.resize(file, 6));
    must(co_await reactor.sync(file));
    const Slice back = space(reactor, 10);
    EXPECT_EQ(must(co_await reactor.read(file, back, 0)), 6U);
    EXPECT_EQ(text_of(back, 6), std::string("0123\0\0", 6));
  });
}

TEST_P(ReactorContract, NamesAreChecked) {
  run([&](Reactor& reactor) -> Task<void> {
    const auto missing = co_await reactor.open(path("missing"), {});
    EXPECT_EQ(code_of(missing), ErrorCode::not_found);
    EXPECT_THAT(missing.error().message, HasSubstr("open"));
    EXPECT_THAT(missing.error().message, HasSubstr(path("missing")));
    co_await created(reactor, path("a"));
    EXPECT_EQ(code_of(co_await reactor.open(path("a"), {.mode = OpenMode::create})),
              ErrorCode::already_exists);
    EXPECT_EQ(code_of(co_await reactor.open(path("no/such/folder"), {.mode = OpenMode::create})),
              ErrorCode::not_found);
    EXPECT_EQ(code_of(co_await reactor.remove_file(path("missing"))), ErrorCode::not_found);
    EXPECT_EQ(code_of(co_await reactor.rename(path("missing"), path("b"))), ErrorCode::not_found);
    EXPECT_EQ(code_of(co_await reactor.list(path("missing"))), ErrorCode::not_found);
  });
}

TEST_P(ReactorContract, FoldersHoldTheirNames) {
  run([&](Reactor& reactor) -> Task<void> {
    must(co_await reactor.create_folder(path("d")));
    EXPECT_EQ(code_of(co_await reactor.create_folder(path("d"))), ErrorCode::already_exists);
    must(co_await reactor.create_folder(path("d/sub")));
    for (const char* file : {"d/c", "d/a", "d/b"}) co_await created(reactor, path(file));
    must(co_await reactor.sync_folder(path("d")));
    EXPECT_THAT(must(co_await reactor.list(path("d"))),
                ElementsAre(FolderEntry{"a", false}, FolderEntry{"b", false}, FolderEntry{"c", false},
                            FolderEntry{"sub", true}));
    EXPECT_EQ(code_of(co_await reactor.remove_folder(path("d"))), ErrorCode::already_exists);
    must(co_await reactor.remove_folder(path("d/sub")));
    for (const char* file : {"d/c", "d/a", "d/b"}) must(co_await reactor.remove_file(path(file)));
    EXPECT_THAT(must(co_await reactor.list(path("d"))), ElementsAre());
    must(co_await reactor.remove_folder(path("d")));
  });
}

TEST_P(ReactorContract, RenameReplacesItsTarget) {
  run([&](Reactor& reactor) -> Task<void> {
    const File a = co_await created(reactor, path("a"));
    const File b = co_await created(reactor, path("b"));
    must(co_await reactor.write(a, slice_of(reactor, "new"), 0, Sync::no));
    must(co_await reactor.write(b, slice_of(reactor, "older"), 0, Sync::no));
    must(co_await reactor.rename(path("a"), path("b")));
    EXPECT_EQ(code_of(co_await reactor.open(path("a"), {})), ErrorCode::not_found);
    const File now = must(co_await reactor.open(path("b"), {}));
    EXPECT_EQ(must(co_await reactor.size(now)), 3U);
    // A file whose name is gone lives as long as it is open.
    EXPECT_EQ(must(co_await reactor.size(b)), 5U);
  });
}

TEST_P(ReactorContract, AFileThatIsLetGoStaysOpenUntilWhatIsInFlightHasEnded) {
  run([&](Reactor& reactor) -> Task<void> {
    File file = co_await created(reactor, path("a"));
    auto write = reactor.write(std::move(file), pattern(reactor, 1 << 20, 5), 0, Sync::data);
    EXPECT_EQ(must(co_await write), 1_MiB);
  });
}

TEST_P(ReactorContract, FilesOpenedForReadingAreNotWritten) {
  run([&](Reactor& reactor) -> Task<void> {
    co_await created(reactor, path("a"));
    const File file = must(co_await reactor.open(path("a"), {.mode = OpenMode::read}));
    EXPECT_EQ(code_of(co_await reactor.write(file, slice_of(reactor, "x"), 0, Sync::no)),
              ErrorCode::invalid_argument);
  });
}

TEST_P(ReactorContract, ASecondLockIsRefusedUntilTheFirstIsGone) {
  run([&](Reactor& reactor) -> Task<void> {
    File first = must(co_await reactor.lock(path("lock")));
    const auto second = co_await reactor.lock(path("lock"));
    EXPECT_EQ(code_of(second), ErrorCode::folder_in_use);
    EXPECT_THAT(second.error().message, HasSubstr(path("lock")));
    first = {};
    must(co_await reactor.lock(path("lock")));
  });
  // Gone with its reactor as well.
  run([&](Reactor& reactor) -> Task<void> { must(co_await reactor.lock(path("lock"))); });
}

TEST_P(ReactorContract, FreeSpaceIsKnown) {
  run([&](Reactor& reactor) -> Task<void> {
    EXPECT_GT(must(co_await reactor.free_space(path("."))), 0U);
    EXPECT_EQ(code_of(co_await reactor.free_space(path("missing"))), ErrorCode::not_found);
  });
}

TEST_P(ReactorContract, MoreOperationsThanTheRingHoldsAllEnd) {
  run([&](Reactor& reactor) -> Task<void> {
    const File file = co_await created(reactor, path("a"));
    constexpr std::uint32_t k_operations = 1000;
    std::vector<Operation<std::uint64_t>> writes;
    for (std::uint32_t i = 0; i < k_operations; ++i) {
      writes.push_back(reactor.write(file, pattern(reactor, 64, i), std::uint64_t{i} * 64, Sync::no));
    }
    for (auto& write : writes) EXPECT_EQ(must(co_await write), 64U);
    writes.clear();
    for (std::uint32_t i = 0; i < k_operations; i += 111) {
      const Slice back = space(reactor, 64);
      EXPECT_EQ(must(co_await reactor.read(file, back, std::uint64_t{i} * 64)), 64U);
      EXPECT_TRUE(equal(back, pattern(reactor, 64, i)));
    }
  });
}

}  // namespace
}  // namespace millrace

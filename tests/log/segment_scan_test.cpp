// Reading segments to their end, and making lost footers again.
#include "engine/log/segment_scan.h"

#include "tests/log/recovery_story.h"

namespace millrace::test {
namespace {

class SegmentScan : public testing::Test {
 protected:
  SegmentScan() {
    log_.put(Index{1}, {log_.append("a"), log_.append(std::string(5'000, 'b'))});
    log_.put(Index{1}, {log_.append("c")});
  }

  // Runs `task` with the segment opened.
  template <class Task>
  void with_segment(Task task) {
    story_.disk().write_file(path_, log_.segments.at(Index{1}));
    open(task);
  }
  template <class Task>
  void open(Task task) {
    story_.run([&](Reactor& reactor) -> millrace::Task<void> {
      auto file = co_await reactor.open(path_, {.mode = OpenMode::read, .direct = true});
      CHECK(file);
      co_await task(reactor, *file);
    });
  }
  void expect_damage(const std::string& part, Index last = Index{3}) {
    with_segment([&](Reactor& reactor, File file) -> Task<void> {
      auto content = co_await read_segment_content(reactor, file, last);
      EXPECT_FALSE(content.has_value());
      if (content) co_return;
      EXPECT_EQ(content.error().code, ErrorCode::corruption);
      EXPECT_NE(content.error().message.find(part), std::string::npos) << content.error().message;
    });
  }
  std::string& bytes() { return log_.segments.at(Index{1}); }

  RecoveryStory story_;
  TestLog log_{GroupId{7}};
  std::string path_ = "segment";
};

TEST_F(SegmentScan, EveryEntryIsFoundAcrossPaddingAndTheEndIsWhereItIs) {
  with_segment([&](Reactor& reactor, File file) -> Task<void> {
    auto header = co_await read_segment_header(reactor, file);
    CHECK(header);
    SegmentScanner scanner(reactor, file, GroupId{7}, range_of(*header));
    for (const TestEntry& expected : log_.entries) {
      auto entry = co_await scanner.next();
      CHECK(entry && *entry);
      EXPECT_EQ((*entry)->header, expected.header);
      EXPECT_EQ((*entry)->bytes.size(), expected.bytes.size());
    }
    auto nothing = co_await scanner.next();
    EXPECT_TRUE(nothing && !*nothing);
    EXPECT_EQ(scanner.end(), log_.end);
    EXPECT_EQ(scanner.position(), bytes().size());
  });
}

TEST_F(SegmentScan, AnEntryLargerThanAReadIsFound) {
  log_.put(Index{1}, {log_.append(std::string(3'000'000, 'x'))});
  with_segment([&](Reactor& reactor, File file) -> Task<void> {
    auto content = co_await read_segment_content(reactor, file, Index{4});
    EXPECT_TRUE(content.has_value());
    if (content) EXPECT_EQ(content->footer.end, log_.end);
  });
}

TEST_F(SegmentScan, TheEndOfAnyEntryIsFound) {
  with_segment([&](Reactor& reactor, File file) -> Task<void> {
    auto header = co_await read_segment_header(reactor, file);
    CHECK(header);
    auto none = co_await find_end(reactor, file, *header, Index{0});
    EXPECT_EQ(none->position, k_block_size);
    EXPECT_EQ(none->end, LogEnd{});
    auto first = co_await find_end(reactor, file, *header, Index{1});
    // The second entry follows in the same block, so the end is exact.
    EXPECT_EQ(first->position, k_block_size + log_.entries[0].padded().size());
    EXPECT_EQ(first->end.chain, log_.entries[0].header.header_checksum);
    auto second = co_await find_end(reactor, file, *header, Index{2});
    EXPECT_EQ(second->position, 3 * k_block_size);
    auto beyond = co_await find_end(reactor, file, *header, Index{4});
    EXPECT_EQ(beyond.error().code, ErrorCode::corruption);
  });
}

TEST_F(SegmentScan, ALostFooterIsMadeAgain) {
  with_segment([&](Reactor& reactor, File file) -> Task<void> {
    auto footer = co_await read_footer(reactor, file);
    EXPECT_TRUE(footer && !*footer);
    auto content = co_await read_segment_content(reactor, file, Index{3});
    CHECK(content);
    EXPECT_TRUE(content->rebuilt);
    EXPECT_EQ(content->footer.end, log_.end);
    EXPECT_EQ(content->footer.end_position, bytes().size());
    CHECK(!content->footer.index.empty());
    EXPECT_EQ(content->footer.index[0], (SparseIndexItem{Index{1}, Offset{0}, k_block_size, -1}));
  });
}

TEST_F(SegmentScan, AFooterIsReadAndADamagedOneIsMadeAgain) {
  SegmentFooter footer;
  footer.index = {{Index{1}, Offset{0}, k_block_size, -1}};
  footer.end = log_.end;
  footer.end_position = bytes().size();
  footer.sealed_at = WallTime{5};
  std::string tail(footer_size(footer), '\0');
  encode_footer(footer, std::as_writable_bytes(std::span(tail)));
  bytes() += tail;
  with_segment([&](Reactor& reactor, File file) -> Task<void> {
    auto content = co_await read_segment_content(reactor, file, Index{3});
    CHECK(content);
    EXPECT_FALSE(content->rebuilt);
    EXPECT_EQ(content->footer, footer);
    // After a cut it tells of too much.
    auto cut = co_await read_segment_content(reactor, file, Index{2});
    CHECK(cut);
    EXPECT_TRUE(cut->rebuilt);
    EXPECT_EQ(cut->footer.end.last_index, Index{2});
  });
  story_.flip(path_, footer.end_position + 3);
  open([&](Reactor& reactor, File file) -> Task<void> {
    auto content = co_await read_segment_content(reactor, file, Index{3});
    CHECK(content);
    EXPECT_TRUE(content->rebuilt);
    EXPECT_EQ(content->footer.end, footer.end);
  });
}

TEST_F(SegmentScan, ASegmentBehindTheEndIsEmpty) {
  with_segment([&](Reactor& reactor, File file) -> Task<void> {
    auto content = co_await read_segment_content(reactor, file, Index{0});
    CHECK(content);
    EXPECT_EQ(content->footer.end, LogEnd{});
    EXPECT_EQ(content->footer.end_position, k_block_size);
  });
}

TEST_F(SegmentScan, DamageIsNamedWithFileAndPosition) {
  const std::string whole = bytes();
  bytes()[k_block_size + 30] ^= 1;
  expect_damage("segment at 4096: what should be entry 1 is none: checksum_mismatch");
  bytes() = whole;
  bytes()[k_block_size + k_entry_header_size] ^= 1;
  expect_damage("segment at 4096: the payload of entry 1");
  bytes() = whole;
  std::fill_n(bytes().begin() + std::ptrdiff_t{3} * k_block_size, k_block_size, '\0');
  expect_damage("segment at 12288: its entries end with index 2, but it held entries up to index 3");
  bytes() = whole.substr(0, std::size_t{2} * k_block_size);
  expect_damage("the file ends inside entry 2");
  bytes() = whole;
  bytes()[100] ^= 1;
  expect_damage("segment: segment header at position 0");
}

TEST_F(SegmentScan, EntriesThatDoNotGoOnAreDamage) {
  const TestLog whole = log_;
  log_.end.chain ^= 1;
  log_.put(Index{1}, {log_.append("d")});
  expect_damage("the chain breaks: entry 4", Index{4});
  log_ = whole;
  log_.id = GroupId{8};
  log_.put(Index{1}, {log_.append("d")});
  expect_damage("an entry of group 8, expected group 7", Index{4});
  log_ = whole;
  log_.end.next_offset = Offset{5};
  log_.put(Index{1}, {log_.append("d")});
  expect_damage("entry 4 begins at offset 5, expected 0", Index{4});
  log_ = whole;
  log_.append("lost");
  log_.put(Index{1}, {log_.append("d")});
  expect_damage("entry 5 after entry 3", Index{4});
}

}  // namespace
}  // namespace millrace::test

// What the target `folder` of fuzz/ has found: damage that was passed over in silence, or blamed on a file
// that has none.
#include <gmock/gmock.h>

#include "tests/log/log_story.h"

namespace millrace::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::uint32_t k_direct = 70'000;

// A log of three segments. The first begins with an extent of one block, which the stop between two starts
// wrote, so that zeros in it leave nothing but whole entries behind.
class DamagedFolder : public ::testing::Test {
 protected:
  DamagedFolder() {
    story.settings.segment_size = 160_KiB;
    expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
      expect_ok(co_await story.create(logs, k_group));
      for (int i = 0; i < 2; ++i) expect_ok(co_await story.append(logs, k_group, 100));
    }));
    expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
      for (int i = 0; i < 5; ++i) expect_ok(co_await story.append(logs, k_group, k_direct));
      while (logs.of(k_group).counters().segments_sealed < 2)
        co_await logs.reactor.sleep(std::chrono::milliseconds(1));
    }));
    for (const FolderEntry& entry : *story.disk().list(folder.group_folder(k_group)))
      segments.push_back(folder.group_folder(k_group) + "/" + entry.name);
    EXPECT_EQ(segments.size(), 3U);
  }
  std::string bytes(std::size_t segment) { return *story.disk().read_file(segments[segment]); }
  // The error of a read.
  std::string error_at(Offset offset) {
    std::string message;
    expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
      const auto read = co_await logs.of(k_group).read(k_group, offset, 1);
      EXPECT_FALSE(read.has_value());
      if (read) co_return;
      EXPECT_EQ(read.error().code, ErrorCode::corruption);
      message = read.error().message;
    }));
    return message;
  }

  LogStory story{1};
  DataFolder folder{"data"};
  std::vector<std::string> segments;
};

TEST_F(DamagedFolder, AnExtentThatWasLostIsNotPassedOver) {
  std::string lost = bytes(0);
  lost.replace(k_block_size, k_block_size, std::string(k_block_size, '\0'));
  story.disk().write_file(segments[0], lost);
  EXPECT_THAT(error_at(Offset{0}), AllOf(HasSubstr(segments[0]), HasSubstr("are missing")));
}

TEST_F(DamagedFolder, TwoSegmentsThatHaveChangedPlacesAreNotRead) {
  const std::string first = bytes(0), second = bytes(1);
  story.disk().write_file(segments[0], second);
  story.disk().write_file(segments[1], first);
  EXPECT_THAT(error_at(Offset{0}), HasSubstr("its header is that of segment"));
}

TEST_F(DamagedFolder, ASegmentThatIsMissingIsNamed) {
  EXPECT_TRUE(story.disk().remove_file(segments[1]));
  const Index first = *DataFolder::segment_first_index(segments[1].substr(segments[1].rfind('/') + 1));
  EXPECT_THAT(error_at(Offset{0}),
              HasSubstr(fmt::format("the segment that begins with entry {} is missing", first.value())));
}

// A reader was told that the topic was deleted.
TEST_F(DamagedFolder, ASegmentThatGoesMissingUnderARunningServerIsDamage) {
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    EXPECT_TRUE(story.disk().remove_file(segments[0]));
    const auto read = co_await logs.of(k_group).read(k_group, Offset{0}, 1);
    EXPECT_FALSE(read.has_value());
    if (read) co_return;
    EXPECT_EQ(read.error().code, ErrorCode::corruption);
    EXPECT_THAT(read.error().message, HasSubstr(segments[0]));
  }));
}

TEST_F(DamagedFolder, AnEndThatWasLostWhileItWasInUseIsNoEmptyRead) {
  story.log_options.cache_bytes = 64_KiB;
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    ShardLog& log = logs.of(k_group);
    for (int i = 0; i < 3; ++i) expect_ok(co_await story.append(logs, k_group, 9000));
    const auto appended = co_await story.append(logs, k_group, k_direct);
    expect_ok(appended);
    expect_ok(co_await story.append(logs, k_group, 8));  // so that the one before it leaves memory
    expect_ok(co_await log.read(k_group, appended->base_offset, 1));
    EXPECT_GE(log.counters().reads_cold, 1U);
    for (const FolderEntry& entry : *story.disk().list(folder.group_folder(k_group))) {
      const std::string path = folder.group_folder(k_group) + "/" + entry.name;
      std::string lost = *story.disk().read_file(path);
      lost.replace(k_block_size, lost.size(), std::string(lost.size() - k_block_size, '\0'));
      story.disk().write_file(path, lost);
    }
    const auto read = co_await log.read(k_group, appended->base_offset, 1);
    EXPECT_FALSE(read.has_value());
    if (!read) EXPECT_THAT(read.error().message, HasSubstr("which it held"));
  }));
}

TEST_F(DamagedFolder, AReadOfNoBytesGivesOneEntry) {
  expect_ok(story.run([&](LogStory::Logs& logs) -> Task<void> {
    const auto read = co_await logs.of(k_group).read(k_group, Offset{0}, 0);
    expect_ok(read);
    if (read) EXPECT_EQ(read->next_offset, Offset{1});
  }));
}

TEST_F(DamagedFolder, AnIdentityOfAnEarlierStartIsRefused) {
  const std::string earlier = *story.disk().read_file(folder.identity());
  expect_ok(story.run(
      [&](LogStory::Logs& logs) -> Task<void> { expect_ok(co_await story.append(logs, k_group, 100)); }));
  for (const std::uint32_t shards : {1U, 3U}) {
    story.node_options.shards = shards;
    story.expect_everything();
    const std::string latest = *story.disk().read_file(folder.identity());
    story.disk().write_file(folder.identity(), earlier);
    const auto refused = story.run([](LogStory::Logs&) -> Task<void> { co_return; });
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::corruption);
    story.disk().write_file(folder.identity(), latest);
  }
  story.expect_everything();
}

// That start has acknowledged nothing, and a power cut may have kept it from switching the identity.
TEST_F(DamagedFolder, AnIdentityOfTheStartBeforeOneThatDidNothingIsTaken) {
  const std::string earlier = *story.disk().read_file(folder.identity());
  expect_ok(story.run([](LogStory::Logs&) -> Task<void> { co_return; }, LogStory::End::abandoned));
  story.disk().write_file(folder.identity(), earlier);
  story.expect_everything();
}

}  // namespace
}  // namespace millrace::test

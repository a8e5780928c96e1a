// Making, opening and refusing data folders; and power that fails anywhere in between.
#include <gmock/gmock.h>

#include "tests/log/recovery_story.h"

namespace millrace::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// ---- new folders
// --------------------------------------------------------------------------------------------------------

TEST(OpenNode, ANewFolderHoldsIdentityJournalsAndNoGroups) {
  RecoveryStory story;
  story.options.shards = 2;
  const Opened opened = story.expect_open();
  EXPECT_TRUE(opened.created);
  EXPECT_NE(opened.identity.cluster, ClusterId{});
  EXPECT_NE(opened.identity.start_id, 0U);
  EXPECT_EQ(opened.journals.size(), 2U);
  for (const JournalStart& journal : opened.journals) {
    EXPECT_EQ(journal.files.size(), k_journal_files);
    EXPECT_THAT(journal.unfilled, ElementsAre(false, true, true, true));
    EXPECT_EQ(journal.position, 2 * k_block_size);
    EXPECT_EQ(journal.next_sequence, Sequence{3});
  }
  EXPECT_EQ(story.disk().pending(), 0U) << "something in the new folder is not durable";
  EXPECT_EQ(story.disk().read_file(story.folder.ballast())->size(), 64_KiB);
}

TEST(OpenNode, ANewFolderIsMadeWithItsParents) {
  RecoveryStory story;
  story.options.folder = "far/down/data";
  story.expect_open();
  EXPECT_TRUE(story.disk().read_file("far/down/data/identity"));
}

TEST(OpenNode, TheSecondStartKeepsTheIdentityAndTakesANewStartId) {
  RecoveryStory story;
  const Opened first = story.expect_open();
  const Opened second = story.expect_open();
  EXPECT_FALSE(second.created);
  EXPECT_EQ(second.identity.cluster, first.identity.cluster);
  EXPECT_EQ(second.identity.incarnation, first.identity.incarnation);
  EXPECT_EQ(second.identity.generation, first.identity.generation + 1);
  EXPECT_NE(second.identity.start_id, first.identity.start_id);
  EXPECT_NE(second.journals[0].files[0], first.journals[0].files[0]) << "a file in force was written";
}

TEST(OpenNode, JournalFilesAreReusedAndOneASparesIsKept) {
  RecoveryStory story;
  story.options.shards = 2;
  for (int i = 0; i < 4; ++i) story.expect_open();
  std::size_t files = 0;
  for (const auto& [path, bytes] : story.content()) files += path.ends_with(".journal") ? 1 : 0;
  EXPECT_EQ(files, 2 * (k_journal_files + 1));
  story.options.shards = 1;
  story.expect_open();
  files = 0;
  for (const auto& [path, bytes] : story.content()) files += path.ends_with(".journal") ? 1 : 0;
  EXPECT_EQ(files, k_journal_files + 1);
}

TEST(OpenNode, AnotherJournalSizeTakesNewFiles) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  story.journal().entry(log.append("a")).commit();
  story.write();
  story.options.journal_file_size = 2_MiB;
  for (int i = 0; i < 2; ++i) {
    const Opened opened = story.expect_open();
    EXPECT_EQ(opened.identity.journal_file_size, 2_MiB);
    EXPECT_THAT(opened.payloads.at(GroupId{7}), ElementsAre("a"));
    for (const std::uint32_t id : opened.journals[0].files) {
      EXPECT_EQ(story.disk().read_file(story.folder.journal_file(id))->size(), 2_MiB);
    }
  }
}

TEST(OpenNode, OptionsOutOfRangeAreRefused) {
  RecoveryStory story;
  story.options.shards = 0;
  story.expect_refused(ErrorCode::invalid_argument, "0 shards");
  story.options.shards = 1;
  story.options.journal_file_size = 4096;
  story.expect_refused(ErrorCode::invalid_argument, "journal files of 4096 bytes");
}

// ---- folders that are refused
// -------------------------------------------------------------------------------------------

TEST(OpenNode, AFolderOfSomebodyElseIsRefusedByName) {
  RecoveryStory story;
  story.disk().write_file("data/holiday.jpg", "beach");
  story.expect_refused(ErrorCode::wrong_folder, "holiday.jpg");
  EXPECT_FALSE(story.disk().read_file(story.folder.lock()));
}

TEST(OpenNode, AFreshVolumeIsAnEmptyFolder) {
  RecoveryStory story;
  ASSERT_TRUE(story.disk().create_folder("data"));
  ASSERT_TRUE(story.disk().create_folder("data/lost+found"));
  EXPECT_TRUE(story.expect_open().created);
  EXPECT_FALSE(story.expect_open().created);
}

TEST(OpenNode, AFileOfThatNameIsSomebodyElses) {
  RecoveryStory story;
  story.disk().write_file("data/lost+found", "wallet");
  story.expect_refused(ErrorCode::wrong_folder, "lost+found");
}

TEST(OpenNode, AFolderThatHasLostItsIdentityIsRefused) {
  RecoveryStory story;
  story.group(7);
  story.begin();
  story.write();
  ASSERT_TRUE(story.disk().remove_file(story.folder.identity()));
  story.expect_refused(ErrorCode::wrong_folder, "holds groups but no file named identity");
}

TEST(OpenNode, AnotherClustersFolderIsRefused) {
  RecoveryStory story;
  story.begin();
  story.write();
  story.options.cluster = ClusterId{};
  story.expect_refused(ErrorCode::wrong_folder, "belongs to cluster c1c1c1c1-");
}

TEST(OpenNode, AFolderInUseIsRefused) {
  RecoveryStory story;
  story.run([&](Reactor& reactor) -> Task<void> {
    auto first = co_await open_node(reactor, story.options);
    EXPECT_TRUE(first.has_value());
    auto second = co_await open_node(reactor, story.options);
    EXPECT_FALSE(second.has_value());
    if (!second) EXPECT_EQ(second.error().code, ErrorCode::folder_in_use) << second.error().message;
  });
}

TEST(OpenNode, AnIdentityWithBothSlotsDamagedIsRefused) {
  RecoveryStory story;
  story.begin();
  story.write();
  story.flip(story.folder.identity(), 100);
  story.flip(story.folder.identity(), k_block_size + 100);
  story.expect_refused(ErrorCode::corruption, "data/identity: the identity's checksum");
}

TEST(OpenNode, EitherSlotOfTheIdentityMayRotAtRest) {
  for (const std::uint64_t slot : {0U, 1U}) {
    RecoveryStory story;
    TestLog& log = story.group(7);
    story.begin();
    story.journal().entry(log.append("a")).commit();
    story.write();
    const Opened first = story.expect_open();
    story.flip(story.folder.identity(), slot * k_block_size + 100);
    const Opened second = story.expect_open();
    EXPECT_EQ(second.identity.generation, first.identity.generation + 1);
    EXPECT_THAT(second.payloads.at(GroupId{7}), ElementsAre("a"));
  }
}

// ---- disks that are full
// ------------------------------------------------------------------------------------------------

TEST(OpenNode, AFullDiskGivesUpTheBallast) {
  RecoveryStory story;
  story.options.ballast_size = 16_MiB;
  story.expect_open();
  // The second start needs other journal files.
  story.options.journal_file_size = 2_MiB;
  story.disk().set_capacity(story.disk().used());
  const Opened opened = story.expect_open();
  EXPECT_THAT(opened.notes, ElementsAre(HasSubstr("gave up the ballast")));
  // The next one has its files, a spare among them; what it has no room for is the ballast.
  EXPECT_THAT(story.expect_open().notes, ElementsAre(HasSubstr("too full for the ballast")));
  story.disk().set_capacity(1_GiB);
  EXPECT_THAT(story.expect_open().notes, IsEmpty());
  EXPECT_EQ(story.disk().read_file(story.folder.ballast())->size(), 16_MiB);
}

TEST(OpenNode, TheSecondStartNeedsNoSpace) {
  RecoveryStory story;
  story.expect_open();
  story.disk().set_capacity(story.disk().used());
  for (int start = 0; start < 3; ++start) EXPECT_THAT(story.expect_open().notes, IsEmpty());
}

TEST(OpenNode, AFullDiskWithoutASpareJournalFileIsANote) {
  RecoveryStory story;
  story.options.ballast_size = 0;
  // What the journal takes.
  story.disk().set_capacity(k_journal_files * story.options.journal_file_size + 64_KiB);
  EXPECT_THAT(story.expect_open().notes, ElementsAre(HasSubstr("spare")));
  story.disk().set_capacity(1_GiB);
  EXPECT_THAT(story.expect_open().notes, IsEmpty());
}

TEST(OpenNode, AFullDiskWithoutBallastIsAnErrorAndLosesNothing) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  story.journal().entry(log.append("a")).commit();
  story.write();
  story.disk().set_capacity(story.disk().used());
  const auto opened = story.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::disk_full) << opened.error().message;
  story.disk().set_capacity(1_GiB);
  EXPECT_THAT(story.expect_open().payloads.at(GroupId{7}), ElementsAre("a"));
}

// ---- power cuts
// ---------------------------------------------------------------------------------------------------------

// A folder with everything in it that recovery acts upon.
void build_rich_folder(RecoveryStory& story) {
  story.add_journal();
  TestLog& direct = story.group(2);
  direct.put(Index{1}, {direct.append("a"), direct.append("b")});
  TestLog& small = story.group(3);
  TestLog& cut = story.group(4);
  const TestEntry kept = cut.append("kept");
  const LogEnd after_kept = cut.end;
  cut.put(Index{1}, {kept, cut.append("gone")});
  cut.put(Index{3}, {cut.append("gone too")});
  TestLog& deleted = story.group(6);
  deleted.put(Index{1}, {deleted.append("x")});
  story.begin();
  TestJournal& even = story.journal(0);
  const TestEntry c = direct.append("c");
  even.entry(c).commit();
  even.add(cut.id, CutRecord{after_kept, {Index{1}, k_block_size + kept.padded().size(), false}}).commit();
  cut.end = after_kept;
  even.entry(cut.append("after the cut")).commit();
  even.add(deleted.id, GroupRemovedRecord{}).commit();
  const TestEntry d = direct.append(std::string(70'000, 'd'));
  even.add(direct.id, direct.put(Index{3}, {c, d})).commit();
  direct.open_segment();  // rolled, nothing in it yet
  direct.segment = {Index{3}, 0, true};
  const Sequence torn = even.entry(direct.append("never acknowledged")).commit();
  even.entry(direct.append("nor this")).commit(torn - 1);
  story.journal(1).entry(small.append("s")).add(small.id, VoteRecord{Term{5}, NodeId{1}}).commit();
  story.journal(1).entry(small.append(std::string(5'000, 't'))).commit();
  story.write();
  story.flip_commit(torn);
  story.disk().write_file(story.folder.segment_in_making(GroupId{3}, Index{1}), "torn");
}

bool holds_rich_content(const Opened& opened) {
  using Payloads = std::map<GroupId, std::vector<std::string>>;
  const Payloads expected = {{GroupId{2}, {"a", "b", "c", std::string(70'000, 'd')}},
                             {GroupId{3}, {"s", std::string(5'000, 't')}},
                             {GroupId{4}, {"kept", "after the cut"}}};
  return opened.payloads == expected && opened.groups.at(GroupId{3}).term == Term{5};
}

bool holds_nothing(const Opened& opened) {
  return opened.groups.empty();
}

// Opens the folder again and again, with the power failing one event later each time, and at last after it is
// open. After each cut it must open, and hold what it held. Gives the number of events after which it did
// not.
std::optional<std::uint64_t> first_loss(RecoveryStory& story, SimCut cut, bool (*holds)(const Opened&)) {
  const auto image = story.disk().image();
  for (std::uint64_t events = 1;; ++events) {
    bool opened = false;
    story.node().start(1, [&](Reactor& reactor) -> Task<void> {
      opened = (co_await open_node(reactor, story.options)).has_value();
    });
    for (std::uint64_t i = 0; i < events && story.node().running(); ++i) CHECK(story.world().step());
    const bool ended = !story.node().running();
    story.node().power_cut(cut);
    const auto again = story.open();
    if ((ended && !opened) || !again || !holds(*again)) return events;
    if (ended) return std::nullopt;
    story.disk().restore(image);
  }
}

class PowerCutDuringOpen : public testing::TestWithParam<SimCut> {};

TEST_P(PowerCutDuringOpen, ANewFolderIsMadeInTheEnd) {
  RecoveryStory story;
  EXPECT_EQ(first_loss(story, GetParam(), holds_nothing), std::nullopt);
}

TEST_P(PowerCutDuringOpen, EveryEntryIsThereAfterwards) {
  RecoveryStory story;
  build_rich_folder(story);
  EXPECT_EQ(first_loss(story, GetParam(), holds_rich_content), std::nullopt);
}

TEST_P(PowerCutDuringOpen, EveryEntryIsThereWithAnotherNumberOfShards) {
  RecoveryStory story;
  build_rich_folder(story);
  story.options.shards = 3;
  EXPECT_EQ(first_loss(story, GetParam(), holds_rich_content), std::nullopt);
}

TEST_P(PowerCutDuringOpen, ASecondStartLosesNothingEither) {
  RecoveryStory story;
  build_rich_folder(story);
  EXPECT_TRUE(holds_rich_content(story.expect_open()));
  EXPECT_EQ(first_loss(story, GetParam(), holds_rich_content), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Cuts, PowerCutDuringOpen,
                         testing::Values(SimCut::by_seed, SimCut::drop_all, SimCut::keep_all),
                         [](const auto& info) {
                           return info.param == SimCut::by_seed    ? "BySeed"
                                  : info.param == SimCut::drop_all ? "DropAll"
                                                                   : "KeepAll";
                         });

// The sweep above proves something only if it finds a sync that is left out.
TEST(OpenNode, ASyncThatIsLeftOutIsFound) {
  for (const char* part : {".segment", "groups/0000000000000003", ".journal", "data/journal"}) {
    RecoveryStory story;
    build_rich_folder(story);
    story.disk().faults().ignore_syncs = on_path(part);
    EXPECT_NE(first_loss(story, SimCut::drop_all, holds_rich_content), std::nullopt) << part;
  }
}

TEST(OpenNode, AnErrorOfAnyOperationIsReportedAndLosesNothing) {
  RecoveryStory story;
  build_rich_folder(story);
  const auto image = story.disk().image();
  for (std::uint64_t n = 1;; ++n) {
    bool opened = false;
    const std::uint64_t before = story.disk().faults().operations();
    story.disk().faults().fail_nth(n, 5);
    story.run([&](Reactor& reactor) -> Task<void> {
      opened = (co_await open_node(reactor, story.options)).has_value();
    });
    const bool was_hit = story.disk().faults().operations() - before >= n;
    story.disk().faults().clear();
    EXPECT_NE(opened, was_hit) << "operation " << n;
    if (was_hit) story.node().power_cut(SimCut::drop_all);
    EXPECT_TRUE(holds_rich_content(story.expect_open())) << "operation " << n;
    if (HasFailure() || !was_hit) break;
    story.disk().restore(image);
  }
}

}  // namespace
}  // namespace millrace::test

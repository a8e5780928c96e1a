// What a start makes of folders in every state, damaged and whole.
#include <gmock/gmock.h>

#include "tests/log/recovery_story.h"

namespace millrace::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// ---- entries
// ------------------------------------------------------------------------------------------------------------

TEST(Recovery, EntriesOfTheJournalAloneGetASegment) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  story.journal().entry(log.append("a")).entry(log.append("b")).commit();
  story.journal().entry(log.append("c")).commit();
  story.write();
  const Opened opened = story.expect_open();
  EXPECT_THAT(opened.payloads.at(GroupId{7}), ElementsAre("a", "b", "c"));
  EXPECT_EQ(opened.groups.at(GroupId{7}).end, log.end);
  EXPECT_EQ(opened.groups.at(GroupId{7}).segment,
            (SegmentEnd{Index{1}, std::uint64_t{2} * k_block_size, false}));
  EXPECT_THAT(opened.notes, IsEmpty());
  EXPECT_FALSE(opened.clean);
}

TEST(Recovery, EntriesBehindASegmentGetASegmentOfTheirOwn) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  log.put(Index{1}, {log.append("a"), log.append("b")});
  story.begin();
  story.journal().entry(log.append("c")).commit();
  story.write();
  const Opened opened = story.expect_open();
  EXPECT_THAT(opened.payloads.at(GroupId{7}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(opened.groups.at(GroupId{7}).segments, ElementsAre(Index{1}, Index{3}));
}

TEST(Recovery, EntriesThatAnExtentPlacedAreNotWrittenAgain) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  const TestEntry a = log.append("a"), b = log.append("b");
  story.journal().entry(a).commit();
  // Direct: the entry without a place first, in the same extent. The internal entry stands in the journal as
  // well.
  story.journal().entry(b).add(log.id, log.put(Index{1}, {a, b})).commit();
  story.journal().entry(log.append("c")).commit();
  story.journal().commit();
  story.write();
  const Opened opened = story.expect_open();
  EXPECT_THAT(opened.payloads.at(GroupId{7}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(opened.groups.at(GroupId{7}).segments, ElementsAre(Index{1}, Index{3}));
}

TEST(Recovery, AnExtentThatNobodyDescribedIsReplaced) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  const TestEntry a = log.append("a"), b = log.append("b");
  story.journal().entry(a).entry(b).commit();
  story.journal().commit();
  log.put(Index{1}, {a});  // by the mover, in a segment of its own
  log.put(Index{2}, {b});  // and the next one
  story.write();
  const Opened opened = story.expect_open();
  EXPECT_THAT(opened.payloads.at(GroupId{7}), ElementsAre("a", "b"));
  EXPECT_THAT(opened.groups.at(GroupId{7}).segments, ElementsAre(Index{1}));
}

TEST(Recovery, EntriesOlderThanTheCheckpointAndBeyondItsStateCount) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  const TestEntry a = log.append("a"), b = log.append("b");
  const Sequence replay_from = story.journal().entry(a).entry(b).commit();
  log.put(Index{1}, {a});
  const Sequence first = story.journal().add(log.id, log.state()).commit();
  story.journal().checkpoint_end({replay_from, first, 1, false}).commit();
  story.write();
  EXPECT_THAT(story.expect_open().payloads.at(GroupId{7}), ElementsAre("a", "b"));
}

TEST(Recovery, AStateOverridesOlderVotesAndYoungerVotesOverrideIt) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  log.term = Term{4};
  story.journal().add(log.id, VoteRecord{Term{9}, NodeId{3}});
  story.begin();
  story.write();
  EXPECT_EQ(story.expect_open().groups.at(GroupId{7}).term, Term{4});

  RecoveryStory later;
  later.group(7);
  later.begin();
  later.journal().add(GroupId{7}, VoteRecord{Term{9}, NodeId{3}}).commit();
  later.write();
  const Opened opened = later.expect_open();
  EXPECT_EQ(opened.groups.at(GroupId{7}).term, Term{9});
  EXPECT_EQ(opened.groups.at(GroupId{7}).voted_for, NodeId{3});
}

TEST(Recovery, ATrimEntryMovesTheLogStart) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  log.put(Index{1}, {log.append("a"), log.append("b")});
  story.begin();
  story.journal().entry(log.trim({Index{2}, Offset{0}})).commit();
  story.write();
  EXPECT_EQ(story.expect_open().groups.at(GroupId{7}).start, (LogStart{Index{2}, Offset{0}}));
}

TEST(Recovery, ACutEndsTheLogAndClosesTheSegment) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  const TestEntry a = log.append("a");
  const LogEnd after_a = log.end;
  log.put(Index{1}, {a, log.append("b")});
  story.begin();
  log.put(Index{3}, {log.append("c")});
  const std::uint64_t cut_at = k_block_size + a.padded().size();
  story.journal().add(log.id, CutRecord{after_a, {Index{1}, cut_at, false}}).commit();
  log.end = after_a;
  story.journal().entry(log.append("B")).commit();
  story.write();
  const Opened opened = story.expect_open();
  EXPECT_THAT(opened.payloads.at(GroupId{7}), ElementsAre("a", "B"));
  EXPECT_THAT(opened.groups.at(GroupId{7}).segments, ElementsAre(Index{1}, Index{2}));
}

TEST(Recovery, ADeletedGroupsFolderGoesAndAnUnknownOneStays) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  log.put(Index{1}, {log.append("a")});
  story.begin();
  story.journal().add(log.id, GroupRemovedRecord{}).commit();
  story.write();
  story.disk().write_file(story.folder.group_folder(GroupId{9}) + "/file", "x");
  const Opened opened = story.expect_open();
  EXPECT_THAT(opened.groups, IsEmpty());
  EXPECT_FALSE(story.content().contains(story.folder.group_folder(GroupId{7}) + "/"));
  EXPECT_TRUE(story.content().contains(story.folder.group_folder(GroupId{9}) + "/file"));
  EXPECT_THAT(opened.notes, ElementsAre(HasSubstr("belongs to no group")));
}

TEST(Recovery, LeftoversOfSegmentsInTheMakingGo) {
  RecoveryStory story;
  story.group(7).open_segment();
  story.begin();
  story.write();
  const std::string leftover = story.folder.segment_in_making(GroupId{7}, Index{12});
  story.disk().write_file(leftover, "torn");
  story.expect_open();
  EXPECT_FALSE(story.content().contains(leftover));
}

// ---- clean stops
// --------------------------------------------------------------------------------------------------------

TEST(Recovery, AfterACleanStopSegmentsStayOpenAndNothingInThemChanges) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  log.put(Index{1}, {log.append("a")});
  story.begin();
  const Sequence replay_from = story.journal().add(log.id, log.state()).commit();
  story.journal().checkpoint_end({replay_from, replay_from, 1, true}).commit();
  story.journal().commit();
  story.write();
  const Opened opened = story.expect_open();
  EXPECT_TRUE(opened.clean);
  EXPECT_EQ(opened.groups.at(GroupId{7}).segment,
            (SegmentEnd{Index{1}, std::uint64_t{2} * k_block_size, true}));
  EXPECT_EQ(story.disk().read_file(story.folder.segment(GroupId{7}, Index{1})), log.segments.at(Index{1}));
}

TEST(Recovery, ARecordBehindACleanCheckpointMakesTheStartAnUncleanOne) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  log.put(Index{1}, {log.append("a")});
  story.begin();
  const Sequence replay_from = story.journal().add(log.id, log.state()).commit();
  story.journal().checkpoint_end({replay_from, replay_from, 1, true}).commit();
  story.journal().add(log.id, VoteRecord{Term{2}, NodeId{1}}).commit();
  story.write();
  const Opened opened = story.expect_open();
  EXPECT_FALSE(opened.clean);
  EXPECT_FALSE(opened.groups.at(GroupId{7}).segment.open);
}

// ---- torn tails
// ---------------------------------------------------------------------------------------------------------

TEST(Recovery, TornTailIsCut) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  story.journal().entry(log.append("a")).commit();
  const LogEnd end = log.end;
  const Sequence torn = story.journal().entry(log.append("b")).commit();
  story.journal()
      .entry(log.append("c"))
      .commit(torn - 1);  // two in flight: this one does not call the torn one complete
  story.write();
  story.flip_commit(torn);
  const Opened opened = story.expect_open();
  EXPECT_THAT(opened.payloads.at(GroupId{7}), ElementsAre("a"));
  EXPECT_EQ(opened.groups.at(GroupId{7}).end, end);
  EXPECT_THAT(opened.notes, ElementsAre(HasSubstr("cut the torn tail that a crash left, from commit 4 on")));
}

TEST(Recovery, ATornLastCommitIsTheEndOfTheJournal) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  story.journal().entry(log.append("a")).commit();
  const Sequence torn = story.journal().entry(log.append("b")).commit();
  story.write();
  story.flip_commit(torn);
  EXPECT_THAT(story.expect_open().payloads.at(GroupId{7}), ElementsAre("a"));
}

TEST(Recovery, ACommitWithATornExtentIsCutWithEverythingBehindIt) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  story.journal().entry(log.append("a")).commit();
  const Sequence direct = story.journal().add(log.id, log.put(Index{1}, log.entries)).commit();
  story.journal().entry(log.append("c")).commit(direct - 1);
  story.write();
  story.flip(story.folder.segment(GroupId{7}, Index{1}), k_block_size + k_entry_header_size);
  const Opened opened = story.expect_open();
  EXPECT_THAT(opened.payloads.at(GroupId{7}), ElementsAre("a"));
  EXPECT_THAT(opened.notes, ElementsAre(HasSubstr("torn extent")));
}

TEST(Recovery, AWholeExtentOfTheLastCommitCounts) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  log.append("a");
  log.append(std::string(100'000, 'b'));
  story.journal().add(log.id, log.put(Index{1}, log.entries)).commit();
  story.write();
  const Opened opened = story.expect_open();
  EXPECT_THAT(opened.payloads.at(GroupId{7}), ElementsAre("a", std::string(100'000, 'b')));
  EXPECT_FALSE(opened.groups.at(GroupId{7}).segment.open);
}

TEST(Recovery, AnExtentThatIsCalledCompleteIsNotReadAtTheStart) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  log.append("a");
  story.journal().add(log.id, log.put(Index{1}, log.entries)).commit();
  story.journal().commit();
  story.write();
  story.flip(story.folder.segment(GroupId{7}, Index{1}), k_block_size + k_entry_header_size);
  story.run([&](Reactor& reactor) -> Task<void> {
    auto node = co_await open_node(reactor, story.options);
    EXPECT_TRUE(node.has_value());
    // Whoever reads it finds the damage then.
    if (node) EXPECT_FALSE(co_await read_payloads(reactor, story.folder, node->groups[0][0]));
  });
}

TEST(Recovery, ACheckpointInATornTailNeverCameToBe) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  const Sequence replay_from = story.journal().entry(log.append("a")).commit();
  const Sequence first = story.journal().add(log.id, log.state()).commit();
  story.journal().checkpoint_end({replay_from, first, 1, false}).commit(first - 1);
  story.write();
  story.flip_commit(first);
  EXPECT_THAT(story.expect_open().payloads.at(GroupId{7}), ElementsAre("a"));
}

// The group was made, written to and trimmed while a checkpoint was under way, and its first segment went
// when that was complete.
TEST(Recovery, ASegmentThatWentAfterALaterStateIsNotLookedFor) {
  RecoveryStory story;
  story.begin();
  TestLog& log = story.group(7);
  log.open_segment();
  const Sequence replay_from = story.journal().add(log.id, log.state()).commit();
  story.journal().add(log.id, log.put(Index{1}, {log.append("a")})).commit();
  log.put(Index{2}, {log.append("b")});
  GroupStateRecord state = log.state();
  state.start = {Index{2}, Offset{0}};
  const Sequence first = story.journal().add(log.id, state).commit();
  story.journal().checkpoint_end({replay_from, first, 1, false}).commit();
  log.segments.erase(Index{1});
  story.write();
  const Opened opened = story.expect_open();
  EXPECT_THAT(opened.payloads.at(GroupId{7}), ElementsAre("b"));
  EXPECT_THAT(opened.groups.at(GroupId{7}).segments, ElementsAre(Index{2}));
}

// ---- reused files
// -------------------------------------------------------------------------------------------------------

TEST(Recovery, StaleCommitsOfAReusedFileAreIgnored) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  TestLog stale(GroupId{7});
  TestJournal& journal = story.journal();
  // An earlier start's journal filled all the files; it even has higher sequences.
  TestJournal old(0xdead, 0, journal.ring);
  for (int i = 0; i < 400; ++i) old.entry(stale.append("stale")).commit();
  journal.files = old.files;
  story.begin();
  journal.entry(log.append("a")).commit();
  story.write();
  EXPECT_THAT(story.expect_open().payloads.at(GroupId{7}), ElementsAre("a"));
}

TEST(Recovery, CommitsOfAnEarlierLapAreIgnored) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  TestJournal& journal = story.journal();
  story.begin();
  // Two laps; the file reused last still holds commits of the first lap behind those of the second.
  for (int file = 0; file < 3; ++file) {
    for (int i = 0; i < 5; ++i) journal.entry(log.append("old")).commit();
    journal.skip_to_next_file();
  }
  log.put(Index{1}, log.entries);
  const Sequence first = journal.add(log.id, log.state()).commit();
  journal.checkpoint_end({first, first, 1, false}).commit();
  journal.skip_to_next_file();
  journal.entry(log.append("new")).commit();
  journal.commit();
  story.write();
  const Opened opened = story.expect_open();
  EXPECT_EQ(opened.payloads.at(GroupId{7}).size(), 16U);
  EXPECT_EQ(opened.payloads.at(GroupId{7}).back(), "new");
}

// ---- shards
// -------------------------------------------------------------------------------------------------------------

TEST(Recovery, NothingDependsOnTheNumberOfShards) {
  RecoveryStory story;
  for (int i = 1; i < 4; ++i) story.add_journal();
  for (std::uint64_t id = 1; id <= 9; ++id) story.group(id);
  story.begin();
  for (std::uint64_t id = 1; id <= 9; ++id) {
    story.journal(static_cast<std::uint32_t>(id % 4))
        .entry(story.group(id).append("of " + std::to_string(id)))
        .commit();
  }
  story.write();
  for (const std::uint32_t shards : {1U, 4U, 3U, 1U, 4U}) {
    story.options.shards = shards;
    const Opened opened = story.expect_open();
    EXPECT_EQ(opened.journals.size(), shards);
    EXPECT_EQ(opened.identity.journals.size(), shards);
    ASSERT_EQ(opened.groups.size(), 9U);
    for (const auto& [id, payloads] : opened.payloads) {
      EXPECT_THAT(payloads, ElementsAre("of " + std::to_string(id.value()))) << id.value();
    }
  }
}

TEST(Recovery, AGroupInTwoJournalsIsRefused) {
  RecoveryStory story;
  story.add_journal();
  story.group(2);
  story.begin();
  story.journal(1).add(GroupId{2}, story.group(2).state()).commit();
  story.write();
  story.expect_refused(ErrorCode::corruption, "group 2 stands in journals 0 and 1");
}

}  // namespace
}  // namespace millrace::test

// What a start makes of folders that are damaged where power cannot have cut them: it refuses, and names the
// file.
#include <gmock/gmock.h>

#include "tests/log/recovery_story.h"

namespace millrace::test {
namespace {

TEST(Recovery, DamageThatALaterCommitCallsCompleteIsRefused) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  const Sequence damaged = story.journal().entry(log.append("a")).commit();
  story.journal().commit();
  story.write();
  story.flip_commit(damaged);
  story.expect_refused(ErrorCode::corruption, "00000000.journal at 8192: commit 3 is damaged or gone");
}

TEST(Recovery, DamageInFrontOfATornTailIsStillDamage) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  const Sequence damaged = story.journal().entry(log.append("a")).commit();
  story.journal().entry(log.append("b")).commit();
  story.journal().entry(log.append("c")).commit(damaged);
  story.write();
  story.flip_commit(damaged);
  story.flip_commit(damaged + 1);
  story.expect_refused(ErrorCode::corruption, "commit 3");
}

TEST(Recovery, AMissingJournalFileIsRefused) {
  RecoveryStory story;
  story.group(7);
  story.begin();
  story.write();
  ASSERT_TRUE(story.disk().remove_file(story.folder.journal_file(2)));
  story.expect_refused(ErrorCode::corruption, "00000002.journal is missing");
}

TEST(Recovery, AJournalWithoutACheckpointIsRefused) {
  RecoveryStory story;
  story.group(7);
  story.write();
  story.expect_refused(ErrorCode::corruption, "has no whole checkpoint");
}

TEST(Recovery, AShortJournalFileIsRefused) {
  RecoveryStory story;
  story.begin();
  story.write();
  story.disk().write_file(story.folder.journal_file(3), "");
  story.expect_refused(ErrorCode::corruption, "its end is lost");
}

TEST(Recovery, ABrokenChainIsRefused) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  story.journal().entry(log.append("a")).commit();
  log.end.chain ^= 1;
  story.journal().entry(log.append("b")).commit();
  story.write();
  story.expect_refused(ErrorCode::corruption, "the chain breaks");
}

TEST(Recovery, ALostEntryIsRefused) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  story.journal().entry(log.append("a")).commit();
  log.append("b");
  story.journal().entry(log.append("c")).commit();
  story.write();
  story.expect_refused(ErrorCode::corruption, "does not go on where the log ends, after entry 1");
}

TEST(Recovery, ABodyThatDoesNotParseIsRefused) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  story.begin();
  TestEntry entry = log.append("a");
  entry.bytes[k_entry_header_size] = 'z';
  story.journal().entry(entry).commit();
  story.write();
  story.expect_refused(ErrorCode::corruption, "00000000.journal at 8192, commit 3: the payload of entry 1");
}

TEST(Recovery, AMissingSegmentIsRefusedByName) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  log.put(Index{1}, {log.append("a")});
  log.put(Index{2}, {log.append("b")});
  story.begin();
  story.write();
  const auto image = story.disk().image();
  ASSERT_TRUE(story.disk().remove_file(story.folder.segment(GroupId{7}, Index{2})));
  story.expect_refused(ErrorCode::corruption, "00000000000000000002.segment: the segment is missing");
  story.disk().restore(image);
  ASSERT_TRUE(story.disk().remove_file(story.folder.segment(GroupId{7}, Index{1})));
  story.expect_refused(ErrorCode::corruption, "the log's start, entry 1, is missing");
}

TEST(Recovery, AMissingSegmentBeforeTheLastIsRefusedByNameWhereTheJournalHasExtentsInIt) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  log.put(Index{1}, {log.append("a")});
  story.begin();
  story.journal().add(GroupId{7}, log.put(Index{2}, {log.append("b")})).commit();
  story.journal().add(GroupId{7}, log.put(Index{3}, {log.append("c")})).commit();
  story.journal().commit();
  log.segments.erase(Index{2});
  story.write();
  story.expect_refused(ErrorCode::corruption, "00000000000000000002.segment: the segment is missing");
}

TEST(Recovery, AMissingGroupFolderIsRefusedByName) {
  RecoveryStory story;
  story.group(7);
  story.begin();
  story.write();
  ASSERT_TRUE(story.disk().remove_folder(story.folder.group_folder(GroupId{7})));
  story.expect_refused(ErrorCode::corruption, "0000000000000007: the group's folder is missing");
}

TEST(Recovery, ASegmentOfAnotherGroupIsRefused) {
  RecoveryStory story;
  TestLog& log = story.group(7);
  log.put(Index{1}, {log.append("a")});
  TestLog& other = story.group(8);
  other.put(Index{1}, {other.append("a")});
  story.begin();
  std::swap(log.segments, other.segments);
  story.write();
  story.expect_refused(ErrorCode::corruption, "its header is that of segment 1 of group ");
}

}  // namespace
}  // namespace millrace::test

// What verify finds, and what a dump shows.
#include "engine/log/verify.h"

#include <gmock/gmock.h>

#include "engine/log/dump.h"
#include "tests/log/recovery_story.h"

namespace millrace::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Verify : public testing::Test {
 protected:
  // Group 7: two segments, the first with a footer, and an entry in the journal alone.
  Verify() {
    log_.put(Index{1}, {log_.append("a"), log_.append(std::string(5'000, 'b'))});
    seal(Index{1});
    log_.put(Index{3}, {log_.append("c")});
    story_.begin();
    story_.journal().entry(log_.append("d")).commit();
    story_.journal().commit();
  }

  void seal(Index first) {
    SegmentFooter footer;
    footer.index = {{first, Offset{0}, k_block_size, -1}};
    footer.end = log_.placed;
    footer.end_position = log_.segments[first].size();
    std::string tail(footer_size(footer), '\0');
    encode_footer(footer, std::as_writable_bytes(std::span(tail)));
    log_.segments[first] += tail;
  }

  Result<VerifyReport> try_verify() {
    Result<VerifyReport> result = fail(ErrorCode::cancelled, "verify_folder did not return");
    story_.run([&](Reactor& reactor) -> Task<void> { result = co_await verify_folder(reactor, k_folder); });
    return result;
  }
  VerifyReport verify() {
    const auto before = story_.content();
    auto report = try_verify();
    EXPECT_TRUE(report) << report.error().message;
    EXPECT_TRUE(story_.content() == before) << "verify wrote something";
    return report.value_or(VerifyReport{});
  }
  // Verifies, and expects one finding, in a file whose name ends like this.
  void expect_finding(const std::string& file, std::uint64_t position, const std::string& part) {
    const VerifyReport report = verify();
    ASSERT_THAT(report.findings, SizeIs(1))
        << (report.findings.empty() ? "" : report.findings.back().meaning);
    EXPECT_THAT(report.findings[0].file, testing::EndsWith(file));
    EXPECT_EQ(report.findings[0].position, position);
    EXPECT_THAT(report.findings[0].meaning, HasSubstr(part));
  }
  std::string segment(std::uint64_t first) { return story_.folder.segment(GroupId{7}, Index{first}); }

  RecoveryStory story_;
  TestLog& log_ = story_.group(7);
};

TEST_F(Verify, AWholeFolderIsCountedAndNothingIsFound) {
  story_.write();
  const VerifyReport report = verify();
  EXPECT_TRUE(report.is_whole());
  EXPECT_THAT(report.notes, IsEmpty());
  EXPECT_EQ(report.journals, 1U);
  EXPECT_EQ(report.commits, 4U);
  EXPECT_EQ(report.journal_records, 3U);
  EXPECT_EQ(report.groups, 1U);
  EXPECT_EQ(report.segments, 2U);
  EXPECT_EQ(report.footers, 1U);
  EXPECT_EQ(report.entries, 3U);
  EXPECT_EQ(report.entry_bytes, 3 * k_entry_header_size + 1 + 5'000 + 1);
  EXPECT_EQ(report.journal_entries, 1U);
}

TEST_F(Verify, DamageInASegmentIsFoundWithItsPlace) {
  story_.write();
  story_.flip(segment(1), k_block_size + log_.entries[0].padded().size() + 100);
  expect_finding("0001.segment", k_block_size + log_.entries[0].padded().size(), "the payload of entry 2");
}

TEST_F(Verify, DamageInASegmentsHeaderIsFound) {
  story_.write();
  story_.flip(segment(1), 50);
  expect_finding("0001.segment", 0, "its checksum does not hold");
}

TEST_F(Verify, EntriesThatAreMissingBetweenSegmentsAreFound) {
  log_.segments[Index{1}].resize(k_block_size);
  story_.write();
  expect_finding("0001.segment", k_block_size,
                 "the entries end with index 0, but it held entries up to index 2");
}

TEST_F(Verify, ASegmentThatDoesNotGoOnIsFound) {
  TestLog other(GroupId{7});
  other.append("A");
  other.append("B");
  other.placed = other.end;
  other.put(Index{3}, {other.append("c")});
  log_.segments[Index{3}] = other.segments[Index{3}];
  story_.write();
  const VerifyReport report = verify();
  ASSERT_THAT(report.findings, SizeIs(2));
  EXPECT_THAT(report.findings[0].meaning,
              HasSubstr("does not go on where the segment before it ends, after entry 2"));
  EXPECT_THAT(report.findings[1].meaning, HasSubstr("another chain value than the journal says"));
}

TEST_F(Verify, AFooterThatTellsOfSomethingElseIsFound) {
  SegmentFooter footer;
  footer.index = {{Index{2}, Offset{0}, k_block_size, -1}};
  footer.end = {Index{2}, Offset{0}, 0xbad};
  std::string& bytes = log_.segments[Index{1}];
  footer.end_position = bytes.size() - k_block_size;
  encode_footer(footer, std::as_writable_bytes(std::span(bytes)).subspan(footer.end_position));
  story_.write();
  const VerifyReport report = verify();
  ASSERT_THAT(report.findings, SizeIs(2));
  EXPECT_THAT(report.findings[0].meaning, HasSubstr("has entry 2 at 4096, where it does not begin"));
  EXPECT_THAT(report.findings[1].meaning, HasSubstr("tells of another end"));
}

TEST_F(Verify, ALostFooterIsNoDamage) {
  story_.write();
  story_.flip(segment(1), log_.segments[Index{1}].size() - 30);
  const VerifyReport report = verify();
  EXPECT_TRUE(report.is_whole());
  EXPECT_EQ(report.footers, 0U);
}

TEST_F(Verify, ATornTailIsANoteAndDamageInTheJournalAFinding) {
  const Sequence torn = story_.journal().entry(log_.append("e")).commit();
  story_.journal().entry(log_.append("f")).commit(torn - 1);
  story_.write();
  story_.flip_commit(torn);
  const VerifyReport report = verify();
  EXPECT_TRUE(report.is_whole());
  EXPECT_THAT(report.notes, ElementsAre(HasSubstr("cut the torn tail that a crash left, from commit 5 on")));
  story_.flip_commit(Sequence{3});
  expect_finding("journal", 0, "00000000.journal at 8192: commit 3 is damaged or gone");
}

TEST_F(Verify, WhatTheNextStartRemovesIsANote) {
  story_.write();
  story_.disk().write_file(story_.folder.segment_in_making(GroupId{7}, Index{9}), "torn");
  story_.disk().write_file(segment(20), "stale");
  const VerifyReport report = verify();
  EXPECT_TRUE(report.is_whole());
  EXPECT_THAT(report.notes, ElementsAre(HasSubstr("0020.segment: begins behind the log's end"),
                                        HasSubstr("was never finished")));
}

TEST_F(Verify, AMissingSegmentIsFound) {
  story_.write();
  ASSERT_TRUE(story_.disk().remove_file(segment(3)));
  expect_finding("0000000000000007", 0, "0003.segment: the segment is missing");
}

TEST_F(Verify, ADamagedIdentityIsFound) {
  story_.write();
  story_.flip(story_.folder.identity(), 100);
  EXPECT_TRUE(verify().is_whole()) << "the other slot counts";
  story_.flip(story_.folder.identity(), k_block_size + 100);
  expect_finding("identity", 0, "the identity's checksum does not hold");
}

TEST_F(Verify, AFolderInUseAndAFolderThatIsNoneAreRefused) {
  const auto none = try_verify();
  EXPECT_FALSE(none);
  story_.disk().write_file("data/file", "");
  EXPECT_EQ(try_verify().error().code, ErrorCode::wrong_folder);
  story_.write();
  story_.run([&](Reactor& reactor) -> Task<void> {
    auto lock = co_await reactor.lock(story_.folder.lock());
    EXPECT_TRUE(lock.has_value());
    auto report = co_await verify_folder(reactor, k_folder);
    EXPECT_FALSE(report.has_value());
    if (!report) EXPECT_EQ(report.error().code, ErrorCode::folder_in_use);
  });
}

// ---- dump
// ---------------------------------------------------------------------------------------------------------------

class Dump : public Verify {
 protected:
  // The lines that it had shown by its end; so many at most.
  Result<void> try_dump(DumpOptions options, std::vector<std::string>& lines,
                        std::size_t wanted = 1'000'000) {
    Result<void> result = fail(ErrorCode::cancelled, "dump_folder did not return");
    story_.run([&](Reactor& reactor) -> Task<void> {
      result = co_await dump_folder(reactor, k_folder, options, [&](const DumpItem& item) {
        lines.push_back(to_line(item));
        return lines.size() < wanted ? DumpNext::go_on : DumpNext::stop;
      });
    });
    return result;
  }
  std::vector<std::string> dump(DumpOptions options = {}, std::size_t wanted = 1'000'000) {
    std::vector<std::string> lines;
    const auto done = try_dump(options, lines, wanted);
    EXPECT_TRUE(done) << done.error().message;
    return lines;
  }
  static std::vector<std::string> begins_of(const std::vector<std::string>& lines) {
    std::vector<std::string> begins;
    for (const std::string& line : lines) begins.push_back(line.substr(0, line.find(' ', line.find(':'))));
    return begins;
  }
};

TEST_F(Dump, ShowsIdentityCommitsRecordsSegmentsAndEntriesInOrder) {
  story_.write();
  EXPECT_THAT(
      begins_of(dump()),
      ElementsAre("identity identity:0", "commit 00000000.journal:0", "record 00000000.journal:0",
                  "record 00000000.journal:0", "commit 00000000.journal:4096", "commit 00000000.journal:8192",
                  "record 00000000.journal:8192", "commit 00000000.journal:12288",
                  "segment 00000000000000000001.segment:0", "entry 00000000000000000001.segment:4096",
                  "entry 00000000000000000001.segment:4168", "footer 00000000000000000001.segment:12288",
                  "segment 00000000000000000003.segment:0", "entry 00000000000000000003.segment:4096"));
}

TEST_F(Dump, EndsWhereverTheSinkHasEnough) {
  story_.write();
  story_.flip_commit(Sequence{3});
  story_.flip(segment(3), k_block_size + 10);
  const auto all = dump();
  for (std::size_t wanted = 1; wanted <= all.size(); ++wanted) {
    const std::vector<std::string> first(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(wanted));
    EXPECT_EQ(dump({}, wanted), first);
  }
}

TEST_F(Dump, RecordsAndEntriesShowTheirFields) {
  story_.write();
  const auto lines = dump();
  EXPECT_THAT(lines, Contains(HasSubstr("record=checkpoint_end replay_from=1 first=1 groups=1 clean=false")));
  EXPECT_THAT(lines, Contains(HasSubstr("record=group_state group=7 term=1 voted_for=nobody start_index=1")));
  EXPECT_THAT(lines,
              Contains(HasSubstr(
                  "record=entry group=7 index=4 term=1 type=configuration offset=0 records=0 payload=1")));
  EXPECT_THAT(lines, Contains(HasSubstr("sequence=3")));
}

TEST_F(Dump, ShowsOneGroupAloneAndLeavesOutWhatIsNotAskedFor) {
  TestLog& other = story_.group(8);
  other.put(Index{1}, {other.append("x")});
  story_.write();
  for (const std::string& line :
       dump({.journals = false, .segments = true, .all_commits = false, .group = GroupId{8}})) {
    EXPECT_THAT(line, testing::Not(HasSubstr("0003.segment")));
    EXPECT_THAT(line, testing::Not(HasSubstr(".journal:")));
  }
  EXPECT_THAT(dump({.journals = true, .segments = false, .all_commits = false, .group = {}}),
              testing::Each(testing::Not(HasSubstr(".segment:"))));
}

TEST_F(Dump, ShowsOfTheCommitsThoseWithRecordsOfTheGroup) {
  TestLog& other = story_.group(8);
  story_.journal().entry(other.append("x")).commit();
  story_.write();
  const DumpOptions options{.segments = false, .group = GroupId{8}};
  EXPECT_THAT(begins_of(dump(options)), ElementsAre("identity identity:0", "commit 00000000.journal:16384",
                                                    "record 00000000.journal:16384"));
  story_.flip_commit(Sequence{3});
  EXPECT_THAT(dump(options), Contains(HasSubstr("damage 00000000.journal:8192"))) << "whose it is, who knows";
}

TEST_F(Dump, AGroupOfWhichThereIsNothingIsAnError) {
  story_.write();
  for (const DumpOptions& options :
       {DumpOptions{.group = GroupId{99}}, DumpOptions{.segments = false, .group = GroupId{99}},
        DumpOptions{.journals = false, .group = GroupId{99}}}) {
    std::vector<std::string> lines;
    const auto done = try_dump(options, lines);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::not_found);
    EXPECT_THAT(done.error().message, HasSubstr("data holds nothing of group 99"));
    EXPECT_THAT(begins_of(lines), ElementsAre("identity identity:0"));
  }
}

TEST_F(Dump, AFolderThatIsNoneIsRefusedAsVerifyDoes) {
  story_.disk().write_file("data/file", "");
  std::vector<std::string> lines;
  const auto done = try_dump({}, lines);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::wrong_folder);
  EXPECT_EQ(done.error().message, try_verify().error().message);
  EXPECT_THAT(lines, IsEmpty());
}

TEST_F(Dump, ShowsDamageWhereItStandsAndGoesOn) {
  story_.write();
  story_.flip_commit(Sequence{3});
  story_.flip(segment(1), k_block_size + 10);
  const auto lines = dump();
  EXPECT_THAT(lines, Contains(HasSubstr("damage 00000000.journal:8192 what=\"the commit's body")));
  EXPECT_THAT(lines, Contains(HasSubstr("damage 00000000000000000001.segment:4096")));
  EXPECT_THAT(lines, Contains(HasSubstr("entry 00000000000000000003.segment:4096")));
}

}  // namespace
}  // namespace millrace::test

// The fault model of sim_disk.h, sentence by sentence.
#include "engine/reactor/sim_disk.h"

#include <cerrno>
#include <gmock/gmock.h>
#include <set>

#include "engine/base/limits.h"
#include "tests/base/support.h"

namespace millrace {
namespace {

using test::bytes_of;
using testing::ElementsAre;
using testing::IsEmpty;

class SimDiskTest : public testing::Test {
 protected:
  SimFileId create(std::string_view path) { return disk.open(path, OpenMode::create).value(); }
  // A file whose name and bytes are durable.
  SimFileId durable(std::string_view path, std::string_view bytes) {
    disk.write_file(path, bytes);
    return disk.open(path, OpenMode::read_write).value();
  }
  void write(SimFileId file, std::uint64_t position, std::string_view bytes, Sync sync = Sync::no) {
    EXPECT_EQ(disk.write(file, position, bytes_of(bytes), sync), bytes.size());
  }
  void sync_folder(std::string_view path) { EXPECT_TRUE(disk.sync_folder(path, disk.mark())); }
  // Every content that `path` has after some cut of this moment, "(gone)" where the name did not survive.
  std::set<std::string> after_cuts(std::string_view path, int seeds = 200) {
    std::set<std::string> contents;
    for (int seed = 0; seed < seeds; ++seed) {
      SimDisk copy(1_GiB);
      copy.restore(disk.image());
      SimRandom random(static_cast<std::uint64_t>(seed));
      copy.power_cut(random, SimCut::by_seed);
      EXPECT_EQ(copy.pending(), 0U);
      contents.insert(copy.read_file(path).value_or("(gone)"));
    }
    return contents;
  }
  SimDisk disk{1_GiB};
};

// ---- bytes ------------------------------------------------------------------

TEST_F(SimDiskTest, AnUnsyncedWriteIsSeenAndMayBeLostOrKept) {
  const SimFileId file = durable("a", "old");
  write(file, 0, "new");
  EXPECT_EQ(disk.read_file("a"), "new");
  EXPECT_THAT(after_cuts("a"), ElementsAre("new", "old"));
}

TEST_F(SimDiskTest, ASyncedWriteSurvivesEveryCut) {
  const SimFileId file = durable("a", "old");
  write(file, 0, "newer");
  disk.sync(file, disk.mark());
  EXPECT_THAT(after_cuts("a"), ElementsAre("newer"));
}

TEST_F(SimDiskTest, ASyncCoversWhatHadCompletedWhenItWasSubmitted) {
  const SimFileId file = durable("a", "....");
  write(file, 0, "1");
  const SimMark submitted = disk.mark();
  write(file, 1, "2");
  disk.sync(file, submitted);
  EXPECT_THAT(after_cuts("a"), ElementsAre("1...", "12.."));
}

TEST_F(SimDiskTest, ASyncedWriteMakesOnlyItsOwnBytesDurable) {
  const SimFileId file = durable("a", std::string(1024, '.'));
  write(file, 0, std::string(512, 'p'));
  write(file, 512, std::string(512, 's'), Sync::data);
  EXPECT_THAT(after_cuts("a"), ElementsAre(std::string(512, '.') + std::string(512, 's'),
                                           std::string(512, 'p') + std::string(512, 's')));
}

TEST_F(SimDiskTest, WhatIsPendingBelowASyncedWriteIsOfThePast) {
  const SimFileId file = durable("a", "........");
  write(file, 0, "pppppppp");
  write(file, 2, "ssss", Sync::data);
  for (const std::string& content : after_cuts("a")) EXPECT_EQ(content.substr(2, 4), "ssss");
}

TEST_F(SimDiskTest, AWriteTearsAtSectors) {
  const SimFileId file = durable("a", std::string(2048, '.'));
  write(file, 0, std::string(2048, 'x'));
  const auto contents = after_cuts("a", 2000);
  EXPECT_EQ(contents.size(), 16U);  // every subset of the four sectors
  for (const std::string& content : contents) {
    for (std::size_t i = 0; i < content.size(); ++i) ASSERT_EQ(content[i], content[i / 512 * 512]);
  }
}

TEST_F(SimDiskTest, ASizeMaySurviveWithoutItsBytes) {
  const SimFileId file = durable("a", "");
  write(file, 0, "bytes");
  EXPECT_THAT(after_cuts("a"), ElementsAre("", std::string(5, '\0'), "bytes"));
}

TEST_F(SimDiskTest, AnAllocatedSizeIsPendingUntilTheFileIsSynced) {
  const SimFileId file = durable("a", "1");
  EXPECT_TRUE(disk.allocate(file, 0, 3));
  EXPECT_EQ(disk.read_file("a"), std::string("1\0\0", 3));
  EXPECT_THAT(after_cuts("a"), ElementsAre("1", std::string("1\0\0", 3)));
  disk.sync(file, disk.mark());
  EXPECT_THAT(after_cuts("a"), ElementsAre(std::string("1\0\0", 3)));
}

TEST_F(SimDiskTest, ACutFileIsPendingUntilItIsSynced) {
  const SimFileId file = durable("a", "12345");
  ASSERT_TRUE(disk.resize(file, 2));
  EXPECT_EQ(disk.read_file("a"), "12");
  EXPECT_THAT(after_cuts("a"), ElementsAre("12", "12345"));
  disk.sync(file, disk.mark());
  EXPECT_THAT(after_cuts("a"), ElementsAre("12"));
}

TEST_F(SimDiskTest, WhatWasPendingBeyondACutNeverReturns) {
  const SimFileId file = durable("a", "");
  write(file, 0, "12345");
  ASSERT_TRUE(disk.resize(file, 2));
  write(file, 4, "x", Sync::data);
  disk.sync(file, disk.mark());
  EXPECT_THAT(after_cuts("a"), ElementsAre(std::string("12\0\0x", 5)));
}

TEST_F(SimDiskTest, ASyncedWriteStandsOnTheSizeThatTheFileWasCutTo) {
  const SimFileId file = durable("a", "12345");
  ASSERT_TRUE(disk.resize(file, 2));
  write(file, 4, "x", Sync::data);
  EXPECT_THAT(after_cuts("a"), ElementsAre(std::string("12\0\0x", 5)));
}

TEST_F(SimDiskTest, OfOverlappingWritesTheLaterWins) {
  const SimFileId file = durable("a", "old");
  write(file, 0, "1st");
  write(file, 0, "2nd");
  EXPECT_THAT(after_cuts("a"), ElementsAre("1st", "2nd", "old"));
}

TEST_F(SimDiskTest, WhatASyncHasForgottenIsSeenAndNoLaterSyncWritesIt) {
  const SimFileId file = durable("a", "old");
  write(file, 0, "new");
  const SimMark failed = disk.mark();
  write(file, 0, "N");
  disk.forget_changes(file, failed);
  EXPECT_EQ(disk.read_file("a"), "New");
  disk.sync(file, disk.mark());
  EXPECT_THAT(after_cuts("a"), ElementsAre("Nld"));
}

TEST_F(SimDiskTest, BitRotIsOnTheMedium) {
  durable("a", "abc");
  disk.flip("a", 1, 0x03);
  EXPECT_EQ(disk.read_file("a"), "aac");
  EXPECT_THAT(after_cuts("a"), ElementsAre("aac"));
}

TEST_F(SimDiskTest, BitRotReachesWhatIsPending) {
  const SimFileId file = durable("a", "...");
  write(file, 0, "abc");
  disk.flip("a", 1, 0x03);
  disk.sync(file, disk.mark());
  EXPECT_THAT(after_cuts("a"), ElementsAre("aac"));
}

// ---- names ------------------------------------------------------------------

TEST_F(SimDiskTest, ANewNameIsPendingUntilItsFolderIsSynced) {
  const SimFileId file = create("a");
  write(file, 0, "x", Sync::data);
  EXPECT_THAT(after_cuts("a"), ElementsAre("(gone)", "x"));
  sync_folder("/");
  EXPECT_THAT(after_cuts("a"), ElementsAre("x"));
}

TEST_F(SimDiskTest, ANameInAFolderNeedsTheFoldersOwnName) {
  ASSERT_TRUE(disk.create_folder("f"));
  const SimFileId file = create("f/a");
  write(file, 0, "x", Sync::data);
  sync_folder("f");
  EXPECT_THAT(after_cuts("f/a"), ElementsAre("(gone)", "x"));
  sync_folder(".");
  EXPECT_THAT(after_cuts("f/a"), ElementsAre("x"));
}

TEST_F(SimDiskTest, ARenameIsAtomic) {
  durable("old", "content");
  durable("new", "replaced");
  ASSERT_TRUE(disk.rename("old", "new"));
  EXPECT_THAT(after_cuts("new"), ElementsAre("content", "replaced"));
  for (int seed = 0; seed < 50; ++seed) {
    SimDisk copy(1_GiB);
    copy.restore(disk.image());
    SimRandom random(static_cast<std::uint64_t>(seed));
    copy.power_cut(random, SimCut::by_seed);
    EXPECT_EQ(copy.read_file("old").has_value(), copy.read_file("new") == "replaced");
  }
  sync_folder("/");
  EXPECT_THAT(after_cuts("new"), ElementsAre("content"));
  EXPECT_THAT(after_cuts("old"), ElementsAre("(gone)"));
}

TEST_F(SimDiskTest, ARemovedFileMayReturnUntilItsFolderIsSynced) {
  disk.write_file("f/a", "x");
  ASSERT_TRUE(disk.remove_file("f/a"));
  EXPECT_FALSE(disk.read_file("f/a"));
  EXPECT_THAT(after_cuts("f/a"), ElementsAre("(gone)", "x"));
  sync_folder("f");
  EXPECT_THAT(after_cuts("f/a"), ElementsAre("(gone)"));
  EXPECT_EQ(disk.pending(), 0U);
}

TEST_F(SimDiskTest, ANameKeepsTheOrderOfItsChanges) {
  disk.write_file("a", "1");
  ASSERT_TRUE(disk.remove_file("a"));
  const SimFileId second = create("a");
  write(second, 0, "2", Sync::data);
  EXPECT_THAT(after_cuts("a"), ElementsAre("(gone)", "1", "2"));
}

TEST_F(SimDiskTest, ANameThatWasGivenAwayIsNotTakenAgainWithoutThat) {
  durable("a", "1");
  ASSERT_TRUE(disk.rename("a", "b"));
  write(create("a"), 0, "2", Sync::data);
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimDisk copy(1_GiB);
    copy.restore(disk.image());
    SimRandom random(seed);
    copy.power_cut(random, SimCut::by_seed);
    EXPECT_TRUE(copy.read_file("a") == "1" || copy.read_file("b") == "1") << "seed " << seed;
  }
}

TEST_F(SimDiskTest, ASyncOfAFolderTakesEarlierChangesOfARenamedFileAlong) {
  disk.write_file("from/.keep", "");
  disk.write_file("to/.keep", "");
  write(create("from/a"), 0, "x", Sync::data);
  ASSERT_TRUE(disk.rename("from/a", "to/a"));
  sync_folder("to");
  EXPECT_THAT(after_cuts("to/a"), ElementsAre("x"));
  EXPECT_THAT(after_cuts("from/a"), ElementsAre("(gone)"));
}

TEST_F(SimDiskTest, ASyncOfAFolderCoversWhatHadCompletedWhenItWasSubmitted) {
  write(create("a"), 0, "x", Sync::data);
  const SimMark submitted = disk.mark();
  write(create("b"), 0, "x", Sync::data);
  EXPECT_TRUE(disk.sync_folder("/", submitted));
  EXPECT_THAT(after_cuts("a"), ElementsAre("x"));
  EXPECT_THAT(after_cuts("b"), ElementsAre("(gone)", "x"));
}

TEST_F(SimDiskTest, NamesOfOneFolderSurviveIndependently) {
  for (const char* name : {"a", "b"}) write(create(name), 0, "x", Sync::data);
  std::set<std::string> trees;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimDisk copy(1_GiB);
    copy.restore(disk.image());
    SimRandom random(seed);
    copy.power_cut(random, SimCut::by_seed);
    std::string text;
    for (const std::string& line : copy.tree()) text += line + ";";
    trees.insert(text);
  }
  EXPECT_THAT(trees, ElementsAre("", "a 1;", "a 1;b 1;", "b 1;"));
}

TEST_F(SimDiskTest, AFolderThatComesAndGoesLeavesNothing) {
  ASSERT_TRUE(disk.create_folder("f"));
  disk.close(create("f/a"));
  ASSERT_TRUE(disk.remove_file("f/a"));
  ASSERT_TRUE(disk.remove_folder("f"));
  sync_folder("/");
  EXPECT_EQ(disk.pending(), 0U);
  EXPECT_THAT(disk.tree(), IsEmpty());
}

TEST_F(SimDiskTest, NamesFailAsOnARealDisk) {
  disk.write_file("f/a", "x");
  EXPECT_EQ(disk.open("none", OpenMode::read).error(), ENOENT);
  EXPECT_EQ(disk.open("f/a", OpenMode::create).error(), EEXIST);
  EXPECT_EQ(disk.open("f", OpenMode::read_write).error(), EISDIR);
  EXPECT_EQ(disk.open("none/a", OpenMode::create).error(), ENOENT);
  EXPECT_EQ(disk.open("f/a/b", OpenMode::create).error(), ENOTDIR);
  EXPECT_EQ(disk.create_folder("f").error(), EEXIST);
  EXPECT_EQ(disk.remove_folder("f").error(), ENOTEMPTY);
  EXPECT_EQ(disk.remove_folder("f/a").error(), ENOTDIR);
  EXPECT_EQ(disk.remove_file("f").error(), EISDIR);
  EXPECT_EQ(disk.remove_file("f/b").error(), ENOENT);
  EXPECT_EQ(disk.rename("f", "f/g").error(), EINVAL);
  EXPECT_EQ(disk.rename("none", "g").error(), ENOENT);
  EXPECT_EQ(disk.list("none").error(), ENOENT);
  EXPECT_EQ(disk.sync_folder("none", disk.mark()).error(), ENOENT);
}

// ---- space ------------------------------------------------------------------

TEST_F(SimDiskTest, AFullDiskRefusesToGrow) {
  disk.set_capacity(16_KiB);
  const SimFileId file = create("a");
  EXPECT_EQ(disk.write(file, 0, bytes_of(std::string(20'000, 'x')), Sync::no), 16_KiB);  // what fits
  EXPECT_EQ(disk.free_space("/"), 0U);
  EXPECT_EQ(disk.write(file, 16_KiB, bytes_of("x"), Sync::no).error(), ENOSPC);
  EXPECT_EQ(disk.allocate(file, 0, 17_KiB).error(), ENOSPC);
  write(file, 100, "over what is there");
  disk.close(file);
  ASSERT_TRUE(disk.remove_file("a"));
  EXPECT_EQ(disk.free_space("/"), 16_KiB);
}

// As ext4 does: whoever wants the space back cuts the file.
TEST_F(SimDiskTest, AnAllocationThatDoesNotFitKeepsWhatItGot) {
  disk.set_capacity(16_KiB);
  const SimFileId file = create("a");
  EXPECT_EQ(disk.allocate(file, 0, 64_KiB).error(), ENOSPC);
  EXPECT_EQ(disk.size(file), 16_KiB);
  EXPECT_EQ(disk.free_space("/"), 0U);
  ASSERT_TRUE(disk.resize(file, 4_KiB));
  EXPECT_EQ(disk.free_space("/"), 12_KiB);
}

TEST_F(SimDiskTest, AnOpenFileKeepsItsSpaceWhenItsNameGoes) {
  const SimFileId file = durable("a", "x");
  ASSERT_TRUE(disk.remove_file("a"));
  EXPECT_EQ(disk.used(), 4_KiB);
  EXPECT_EQ(disk.size(file), 1U);
  disk.close(file);
  EXPECT_EQ(disk.used(), 0U);
  SimRandom random(1);
  disk.power_cut(random, SimCut::drop_all);  // the removal was not synced
  EXPECT_EQ(disk.used(), 4_KiB);
}

}  // namespace
}  // namespace millrace

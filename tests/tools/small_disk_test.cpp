// Commands that look at a file system, on one of their own.
#include "tests/crash/small_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>

#include "tests/tools/process.h"
#include "tools/exit_codes.h"

namespace millrace::tools::test {
namespace {

using millrace::test::SmallDisk;
using millrace::test::SmallDiskKind;
using millrace::test::why_not_mountable;
using testing::HasSubstr;

class OnSmallDisk : public testing::TestWithParam<SmallDiskKind> {
 protected:
  void SetUp() override {
    if (const std::string why_not = why_not_mountable(GetParam()); !why_not.empty())
      GTEST_SKIP() << "no test can mount a small " << name(GetParam()) << " here: " << why_not;
    disk_.emplace(GetParam(), 64u << 20);
  }

  std::optional<SmallDisk> disk_;
};

TEST_P(OnSmallDisk, AReadOnlyCopyIsVerifiedAndDumpedAndRefusedByServe) {
  const std::string data = disk_->path("data");
  {
    ServerProcess server(data);
    EXPECT_EQ(run({"produce", "t", "-s", server.address()}, "a\nb\n").status, k_exit_ok);
    EXPECT_EQ(server.stop(), 0);
  }
  disk_->make_read_only();
  const Finished verified = run({"log", "verify", data});
  EXPECT_EQ(verified.status, k_exit_ok) << verified.errors;
  EXPECT_THAT(verified.output, HasSubstr("everything that is stored is whole"));
  const Finished dumped = run({"log", "dump", data, "--segments-only"});
  EXPECT_EQ(dumped.status, k_exit_ok) << dumped.errors;
  EXPECT_THAT(dumped.output, HasSubstr("entry "));
  const Finished served = run(serve_arguments(data));
  EXPECT_EQ(served.status, k_exit_failure);
  EXPECT_THAT(served.errors, HasSubstr("mounted read-only"));
}

TEST_P(OnSmallDisk, DoctorSaysThatAServerDoesNotStartWithoutRoomForItsFiles) {
  const std::string data = disk_->path("data");
  const Finished bad = run({"doctor", "--data", data, "--shards", "1"});
  EXPECT_EQ(bad.status, k_exit_unhealthy);
  EXPECT_THAT(bad.output, HasSubstr("Too little to start 1 shard, which takes 272 MiB"));
  EXPECT_THAT(bad.output, HasSubstr("a server does not start here"));
  const Finished enough = run({"doctor", "--data", data, "--shards", "1", "--journal-file-bytes", "1MiB"});
  EXPECT_EQ(enough.status, k_exit_ok) << enough.output;
  EXPECT_THAT(enough.output, HasSubstr("Enough to start 1 shard, which takes 20 MiB"));
  EXPECT_EQ(run({"serve", "--data", data, "--listen", "127.0.0.1:0", "--shards", "1"}).status,
            k_exit_failure);
}

// Journal and ballast stand there: what a start takes over it need not find free.
TEST_P(OnSmallDisk, DoctorCountsWhatStandsInTheFolderAlready) {
  const Arguments size{"--journal-file-bytes", "4MiB"};
  ServerProcess server(disk_->path("data"), size);
  EXPECT_EQ(server.stop(), 0);
  Arguments arguments{"doctor", "--data", disk_->path("data"), "--shards", "1"};
  arguments.insert(arguments.end(), size.begin(), size.end());
  const Finished again = run(arguments);
  EXPECT_EQ(again.status, k_exit_ok) << again.output;
  EXPECT_THAT(again.output,
              HasSubstr("takes 36 MiB for the journal and the ballast, of which 21 MiB are there"));
}

// The top of an ext4 volume holds lost+found from the beginning.
TEST_P(OnSmallDisk, TheTopOfAFreshVolumeIsADataFolder) {
  for (int start = 0; start < 2; ++start) {
    ServerProcess server(disk_->path(""));
    EXPECT_EQ(server.stop(), 0);
  }
  EXPECT_EQ(run({"log", "verify", disk_->path("")}).status, k_exit_ok);
}

INSTANTIATE_TEST_SUITE_P(Disks, OnSmallDisk, testing::Values(SmallDiskKind::ext4, SmallDiskKind::tmpfs),
                         [](const auto& disk) { return std::string(name(disk.param)); });

}  // namespace
}  // namespace millrace::tools::test

// Folders that the real server must not touch: it names what is wrong, ends with an error, and leaves them as
// they are.
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>

#include "engine/base/checksum.h"
#include "engine/base/endian.h"
#include "engine/base/uuid.h"
#include "engine/log/data_folder.h"
#include "engine/log/identity.h"
#include "tests/crash/serving.h"

namespace millrace::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using tools::test::Finished;
using tools::test::run;
using tools::test::serve_arguments;

constexpr int k_exit_failure = 1;  // docs/cli.md

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

class RefusedFolder : public testing::Test {
 protected:
  // A folder with a record in it.
  void SetUp() override {
    ServerProcess server(data_.root());
    const Finished produced = run({"produce", "greetings", "--server", server.address()}, "a record\n");
    ASSERT_EQ(produced.status, 0) << produced.errors;
    ASSERT_EQ(server.stop(), 0);
  }

  // What the server says when it refuses, after it has been seen to leave the identity as it is.
  [[nodiscard]] std::string refusal(const Arguments& flags = {}) const {
    const auto before = read_file(data_.identity());
    const Finished refused = run(serve_arguments(data_.root(), flags));
    EXPECT_EQ(refused.status, k_exit_failure);
    EXPECT_EQ(refused.output, "");
    EXPECT_EQ(read_file(data_.identity()), before);
    return refused.errors;
  }

  // Changes both slots of the identity, with the checksum that belongs to the change.
  template <class Change>
  void change_identity(Change change) {
    std::vector<std::byte> file = read_file(data_.identity());
    ASSERT_EQ(file.size(), 2 * k_block_size);
    for (std::size_t at = 0; at < file.size(); at += k_block_size) {
      const auto slot = std::span(file).subspan(at, k_block_size);
      change(slot);
      store_le<std::uint64_t>(slot.data(), xxh3(slot.subspan(8)));
    }
    write_file(data_.identity(), file);
  }

  // The record is still there, for a server that may have it.
  void expect_record() const {
    ServerProcess server(data_.root());
    const Finished consumed = run({"consume", "greetings", "--end", "--server", server.address()});
    EXPECT_EQ(consumed.output, "a record\n") << consumed.errors;
    EXPECT_EQ(server.stop(), 0);
  }

  TestFolder folder_;
  DataFolder data_{folder_.path("data")};
};

TEST_F(RefusedFolder, OfARunningServer) {
  ServerProcess first(data_.root());
  EXPECT_THAT(refusal(), AllOf(HasSubstr(data_.root()), HasSubstr("another process")));
  EXPECT_EQ(first.stop(), 0);
  expect_record();
}

TEST_F(RefusedFolder, OfAnotherCluster) {
  const auto identity = choose_identity(read_file(data_.identity()));
  ASSERT_TRUE(identity);
  const std::string other = "01234567-89ab-cdef-0123-456789abcdef";
  EXPECT_THAT(refusal({"--cluster", other}),
              AllOf(HasSubstr(other), HasSubstr(to_string(identity->cluster)), HasSubstr(data_.root())));
  expect_record();
}

TEST_F(RefusedFolder, WithFilesOfAnotherCluster) {
  const auto before = read_file(data_.identity());
  change_identity([](std::span<std::byte> slot) {
    Identity identity = *decode_identity(slot);
    identity.cluster.bytes[0] ^= std::byte{1};
    encode_identity(identity, slot);
  });
  EXPECT_THAT(refusal(), AllOf(HasSubstr(data_.root()), HasSubstr("another cluster")));
  write_file(data_.identity(), before);
  expect_record();
}

TEST_F(RefusedFolder, OfAnotherVersion) {
  const auto before = read_file(data_.identity());
  change_identity([](std::span<std::byte> slot) { store_le<std::uint32_t>(slot.data() + 16, 7); });
  EXPECT_THAT(refusal(), AllOf(HasSubstr(data_.identity()), HasSubstr("version 7"), HasSubstr("reads 1")));
  write_file(data_.identity(), before);
  expect_record();
}

TEST_F(RefusedFolder, ThatIsNotOurs) {
  const auto before = read_file(data_.identity());
  write_file(data_.identity(), std::vector<std::byte>(std::size_t{2} * k_block_size, std::byte{'x'}));
  EXPECT_THAT(refusal(), HasSubstr(data_.identity()));
  write_file(data_.identity(), before);
  expect_record();
}

TEST_F(RefusedFolder, OfSomebodyElsesFiles) {
  const std::string folder = folder_.path("photos");
  std::filesystem::create_directories(folder);
  write_file(folder + "/cat.jpg", std::vector<std::byte>(10));
  const Finished refused = run(serve_arguments(folder));
  EXPECT_EQ(refused.status, k_exit_failure);
  EXPECT_THAT(refused.errors, HasSubstr(folder));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1)
      << "the server has left something";
}

}  // namespace
}  // namespace millrace::test

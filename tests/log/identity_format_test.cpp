// The identity's bytes, and the names of files. The golden ones are what version 1 has written: they stay
// readable.
#include <gtest/gtest.h>

#include "engine/base/checksum.h"
#include "engine/base/endian.h"
#include "engine/log/data_folder.h"
#include "engine/log/identity.h"
#include "tests/log/golden_bytes.h"

namespace millrace::test {
namespace {

constexpr const char* k_identity_hex =
    "9f5e3344139fccec4d524944454e545901000000010000000001020304050607"
    "08090a0b0c0d0e0ff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff0600000000000000"
    "efcdab8967452301020000000400000000000004000000000000000000000000"
    "0100000002000000030000000400000005000000060000000700000008";

Identity some_identity() {
  return {counted_id<ClusterId>(0),
          NodeId{1},
          counted_id<IncarnationId>(0xf0),
          6,
          0x0123456789abcdef,
          k_journal_file_size_default,
          {{1, 2, 3, 4}, {5, 6, 7, 8}}};
}

Bytes encoded(const Identity& identity) {
  Bytes bytes(k_block_size, std::byte{0xff});
  encode_identity(identity, bytes);
  return bytes;
}

Bytes file_of(const Bytes& first, const Bytes& second) {
  Bytes file = first;
  file.insert(file.end(), second.begin(), second.end());
  return file;
}

void seal(Bytes& slot) {
  store_le<std::uint64_t>(slot.data(), xxh3(std::span(slot).subspan(8)));
}

TEST(IdentityFormat, AnIdentityIsWrittenAsTheGoldenBytes) {
  EXPECT_EQ(to_golden(encoded(some_identity())), k_identity_hex);
}

TEST(IdentityFormat, AGoldenIdentityIsRead) {
  const auto identity = decode_identity(from_golden(k_identity_hex, k_block_size));
  ASSERT_TRUE(identity) << identity.error().message;
  EXPECT_EQ(*identity, some_identity());
}

TEST(IdentityFormat, AnIdentityWithAnyByteFlippedIsRefused) {
  for (std::size_t at = 0; at < k_block_size; ++at) {
    Bytes bytes = encoded(some_identity());
    bytes[at] ^= std::byte{0x04};
    const ErrorCode expected = at >= 8 && at < 16 ? ErrorCode::wrong_folder : ErrorCode::corruption;
    EXPECT_EQ(decode_identity(bytes).error().code, expected) << "byte " << at;
  }
}

TEST(IdentityFormat, ATruncatedIdentityIsNoneOfOurs) {
  const Bytes bytes = encoded(some_identity());
  EXPECT_EQ(decode_identity(std::span(bytes).first(100)).error().code, ErrorCode::wrong_folder);
  EXPECT_EQ(choose_identity({}).error().code, ErrorCode::wrong_folder);
}

TEST(IdentityFormat, AnotherVersionIsRefusedByName) {
  Bytes bytes = encoded(some_identity());
  store_le<std::uint32_t>(bytes.data() + 16, 7);
  seal(bytes);
  const auto identity = decode_identity(bytes);
  ASSERT_FALSE(identity);
  EXPECT_EQ(identity.error().code, ErrorCode::unsupported_version);
  EXPECT_NE(identity.error().message.find("version 7, this program reads 1"), std::string::npos);
  // Also where the other slot could be read: it may be the older one.
  EXPECT_EQ(choose_identity(file_of(encoded(some_identity()), bytes)).error().code,
            ErrorCode::unsupported_version);
}

TEST(IdentityFormat, ImpossibleNumbersOfJournalsAreRefused) {
  for (const auto& [journals, files] :
       {std::pair{0U, 4U}, {2U, 0U}, {0x10000U, 0x10000U}, {1U, k_identity_files_max + 1}}) {
    Bytes bytes = encoded(some_identity());
    store_le<std::uint32_t>(bytes.data() + 72, journals);
    store_le<std::uint32_t>(bytes.data() + 76, files);
    seal(bytes);
    EXPECT_EQ(decode_identity(bytes).error().code, ErrorCode::corruption) << journals << " of " << files;
  }
}

TEST(IdentityFormat, TheSlotWithTheHigherGenerationCounts) {
  Identity newer = some_identity();
  ++newer.generation;
  const Bytes first = encoded(some_identity()), second = encoded(newer);
  EXPECT_EQ(*choose_identity(file_of(first, second)), newer);
  EXPECT_EQ(*choose_identity(file_of(second, first)), newer);
}

TEST(IdentityFormat, ADamagedSlotLeavesTheOther) {
  Bytes damaged = encoded(some_identity());
  damaged[100] ^= std::byte{1};
  EXPECT_EQ(*choose_identity(file_of(damaged, encoded(some_identity()))), some_identity());
  EXPECT_EQ(*choose_identity(file_of(encoded(some_identity()), damaged)), some_identity());
  EXPECT_EQ(*choose_identity(encoded(some_identity())), some_identity());
  EXPECT_EQ(choose_identity(file_of(damaged, damaged)).error().code, ErrorCode::corruption);
  EXPECT_EQ(choose_identity(file_of(damaged, Bytes(k_block_size))).error().code, ErrorCode::corruption);
}

// ---- names
// --------------------------------------------------------------------------------------------------------------

TEST(DataFolderNames, NamesAndTheirMeaningsAreInverse) {
  const DataFolder folder("/d");
  EXPECT_EQ(folder.journal_file(7), "/d/journal/00000007.journal");
  EXPECT_EQ(folder.group_folder(GroupId{0xab}), "/d/groups/00000000000000ab");
  EXPECT_EQ(folder.segment(GroupId{3}, Index{4711}),
            "/d/groups/0000000000000003/00000000000000004711.segment");
  EXPECT_EQ(folder.segment_in_making(GroupId{3}, Index{1}),
            "/d/groups/0000000000000003/00000000000000000001.segment.new");
  EXPECT_EQ(DataFolder::journal_file_id("00000007.journal"), 7U);
  EXPECT_EQ(DataFolder::group_of("00000000000000ab"), GroupId{0xab});
  EXPECT_EQ(DataFolder::segment_first_index("00000000000000004711.segment"), Index{4711});
  EXPECT_EQ(DataFolder::segment_first_index("18446744073709551615.segment"), Index{~std::uint64_t{0}});
}

TEST(DataFolderNames, OtherNamesAreNoneOfOurs) {
  for (const char* name : {"", "7.journal", "0000000a.journal", "000000007.journal", "00000007.journal.new",
                           "+0000007.journal"}) {
    EXPECT_FALSE(DataFolder::journal_file_id(name)) << name;
  }
  for (const char* name : {"", "ab", "00000000000000AB", "0000000000000000ab", "000000000000000x"}) {
    EXPECT_FALSE(DataFolder::group_of(name)) << name;
  }
  for (const char* name : {"4711.segment", "00000000000000004711.segment.new", "18446744073709551616.segment",
                           "0000000000000000a711.segment"}) {
    EXPECT_FALSE(DataFolder::segment_first_index(name)) << name;
  }
}

}  // namespace
}  // namespace millrace::test

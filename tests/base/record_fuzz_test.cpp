// check_batch() and RecordReader judge the same bytes: what the one lets in, the other must be able to read,
// and what the reader reads in order the check must have let in. Bytes are damaged at random and sealed
// again, so that the CRC hides nothing; they stand in an allocation of exactly their size, so that a
// sanitizer sees a read behind the end.
#include <gtest/gtest.h>

#include "engine/base/record_batch.h"
#include "tests/base/support.h"

namespace millrace {
namespace {

using test::Bytes;

// Whether the reader finds exactly the announced records with offsets 0, 1, 2, ...
bool reads_in_order(const BatchHeader& header, ByteView batch) {
  RecordReader reader(header, batch.subspan(k_batch_header_size));
  RecordView record;
  for (std::int64_t i = 0;; ++i) {
    const Result<bool> more = reader.next(record);
    if (!more) return false;
    if (!*more) return i == header.record_count;
    if (record.offset != header.base_offset + i) return false;
  }
}

void damage(Bytes& batch, std::mt19937_64& random) {
  const std::size_t at = k_batch_header_size + random() % (batch.size() - k_batch_header_size);
  switch (random() % 4) {
    case 0:
      batch[at] ^= static_cast<std::byte>(1u << (random() % 8));
      break;
    case 1:
      batch[at] = static_cast<std::byte>(random());
      break;
    case 2:
      batch[at] = std::byte{0xff};
      break;
    default:
      std::swap(batch[at], batch[k_batch_header_size + random() % (batch.size() - k_batch_header_size)]);
  }
}

TEST(RecordFuzzTest, TheServersCheckAndTheReaderAgreeOnDamagedRecords) {
  std::mt19937_64 random(20);
  int refused = 0;
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<test::OwnedRecord> records(1 + random() % 4);
    for (test::OwnedRecord& record : records) {
      record = test::random_record(random);
      if (record.value && record.value->size() > 100) record.value->resize(100);
      if (record.key && record.key->size() > 100) record.key->resize(70);
    }
    Bytes batch = test::batch_of(records);
    for (std::uint64_t i = 1 + random() % 3; i > 0; --i) damage(batch, random);
    test::seal(batch);
    const Result<BatchHeader> checked = check_batch(batch);
    const Result<BatchHeader> verified = verify_batch(batch);
    ASSERT_TRUE(verified) << "round " << round << ": " << verified.error().message;
    ASSERT_EQ(checked.has_value(), reads_in_order(*verified, batch)) << "round " << round;
    ++(checked ? accepted : refused);
  }
  // The damage reaches both sides.
  EXPECT_GT(refused, 1'000);
  EXPECT_GT(accepted, 1'000);
}

TEST(RecordFuzzTest, RandomRecordsBehindAnHonestHeaderAreRefusedOrRead) {
  std::mt19937_64 random(21);
  const Bytes honest = test::small_batch();
  for (int round = 0; round < 50'000; ++round) {
    Bytes batch = honest;
    const Bytes noise = test::random_bytes(random, batch.size() - k_batch_header_size);
    // Small numbers are likelier to be lengths that nearly fit.
    for (std::size_t i = 0; i < noise.size(); ++i) {
      batch[k_batch_header_size + i] = random() % 4 == 0 ? noise[i] : noise[i] & std::byte{0x1f};
    }
    test::seal(batch);
    const BatchHeader header = verify_batch(batch).value();
    ASSERT_EQ(check_batch(batch).has_value(), reads_in_order(header, batch)) << "round " << round;
  }
}

}  // namespace
}  // namespace millrace

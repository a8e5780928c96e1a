// Record batches: what the server lets in, what readers make of it, and the decoders of compressed ones.
//
// Input: u8 (1: repair length and CRC), then a batch.
#include "engine/base/record_batch.h"

#include "engine/base/check.h"
#include "engine/base/compression.h"
#include "engine/base/record_reader.h"
#include "fuzz/input.h"
#include "fuzz/repair.h"

namespace millrace::fuzz {
namespace {

// Small, so that the limit is reached.
constexpr std::uint64_t k_inflated_size_max = 256_KiB;

bool is_inside(ByteView part, ByteView whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// Whether there are exactly the records that the header tells of, with the offsets 0, 1, 2, ...
bool reads_in_order(const BatchHeader& header, ByteView records) {
  RecordReader reader(header, records);
  RecordView record;
  bool in_order = true;
  for (std::int64_t i = 0;; ++i) {
    const Result<bool> more = reader.next(record);
    if (!more) return false;
    if (!*more) return in_order && i == header.record_count;
    CHECK(record.offset >= header.base_offset &&
          record.offset <= header.base_offset + header.last_offset_delta);
    CHECK(is_inside(record.key.value_or(ByteView{}), records) &&
          is_inside(record.value.value_or(ByteView{}), records));
    in_order = in_order && record.offset == header.base_offset + i;
  }
}

void read_batch(Input input) {
  const bool repaired = (input.take<std::uint8_t>() & 1) != 0;
  Bytes batch = input.take_rest();
  if (repaired) repair_batch(batch);
  const auto taken = check_batch(batch);
  const auto verified = verify_batch(batch);
  CHECK(!taken || (verified && *verified == *taken), "taken by the server, refused by its readers");
  if (!verified) return;
  Bytes storage;
  const auto records = Inflater().inflate_records(*verified, batch, storage, k_inflated_size_max);
  if (!records) {
    CHECK(verified->codec() != Codec::none, "{}", records.error().message);
    return;
  }
  CHECK(verified->codec() == Codec::none || records->size() <= k_inflated_size_max);
  const bool readable = reads_in_order(*verified, *records);
  CHECK(!taken || taken->codec() != Codec::none || readable, "taken by the server, and its records are none");
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  millrace::fuzz::read_batch({data, size});
  return 0;
}

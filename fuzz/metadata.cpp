// What group 0 says about topics: a record batch whose values are tables.
//
// Input: u8 (1: repair length and CRC), then a batch.
#include "engine/base/check.h"
#include "fuzz/input.h"
#include "fuzz/repair.h"
#include "net/topic_record.h"

namespace millrace::fuzz {
namespace {

void read_changes(Input input) {
  static BufferPool pool({.bytes_max = 64_MiB, .idle_bytes_max = 1_MiB});
  const bool repaired = (input.take<std::uint8_t>() & 1) != 0;
  Bytes batch = input.take_rest();
  if (repaired) repair_batch(batch);
  const auto changes = decode_topic_changes(batch);
  if (!changes) return;
  for (const TopicChange& change : *changes) {
    const auto written = encode_topic_change(pool, change, WallTime{1});
    CHECK(written, "{}", written.error().message);
    const auto again = decode_topic_changes(written->bytes());
    CHECK(again && again->size() == 1 && again->front() == change, "topic '{}' came back changed",
          change.name);
  }
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  millrace::fuzz::read_changes({data, size});
  return 0;
}

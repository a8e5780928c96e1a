#include "net/client/entry_decoder.h"

#include <algorithm>
#include <utility>

#include "engine/base/entry_header.h"
#include "engine/base/record_batch.h"

namespace millrace {

void EntryDecoder::feed(Slice entries) {
  entries_ = std::move(entries);
  at_ = 0;
  close_batch();
}

void EntryDecoder::close_batch() {
  reader_.reset();
  // Not {}: that would be an assignment of no elements, which keeps the memory.
  if (inflated_.capacity() > k_inflated_bytes_kept) inflated_ = std::vector<std::byte>();
}

Result<bool> EntryDecoder::next(RecordView& record, Offset& wanted) {
  for (;;) {
    while (reader_) {
      TRY(const bool more, reader_->next(record));
      if (!more) {
        close_batch();
        wanted = std::max(wanted, batch_end_);
      } else if (record.offset >= wanted) {
        wanted = millrace::next(record.offset);
        return true;
      }
    }
    if (at_ == entries_.length) {
      feed({});  // their buffer, which others wait for
      return false;
    }
    TRY_VOID(open_entry(wanted));
  }
}

Result<void> EntryDecoder::open_entry(Offset& wanted) {
  const auto rest = entries_.bytes().subspan(at_);
  TRY(const EntryHeader header, decode_entry_header(rest));
  const std::uint32_t size = entry_size(header.batch_length);
  if (size > rest.size()) {
    return fail(ErrorCode::corruption, "an entry of {} bytes where the server sent {}", size, rest.size());
  }
  at_ += std::min(padded_size(size), static_cast<std::uint32_t>(rest.size()));
  if (header.type != EntryType::batch || header.next_offset() <= wanted) {
    wanted = std::max(wanted, header.next_offset());
    return {};
  }
  const auto batch = rest.subspan(k_batch_offset_in_entry, size - k_batch_offset_in_entry);
  TRY(const BatchHeader records, verify_batch(batch));
  TRY(const auto bytes, inflater_.inflate_records(records, batch, inflated_));
  batch_end_ = header.next_offset();
  reader_.emplace(records, bytes);
  return {};
}

}  // namespace millrace

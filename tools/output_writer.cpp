#include "tools/output_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace millrace::tools {

OutputWriter::OutputWriter(UringReactor& reactor)
    : reactor_(reactor), output_(reactor.standard_output()), changed_(reactor), writing_(write_all()) {}

Task<Output> OutputWriter::room() {
  leave();
  while (is_full()) co_await changed_.wait();
  co_return state_;
}

Task<Output> OutputWriter::drain() {
  leave();
  while (!text_.empty() || !leaving_.empty()) co_await changed_.wait();
  co_return state_;
}

// For ever; when nobody reads any more, for nothing.
Task<void> OutputWriter::write_all() {
  for (;;) {
    while (text_.empty()) co_await changed_.wait();
    std::swap(text_, leaving_);  // so both keep their memory
    changed_.wake_all();
    co_await write(leaving_);
    leaving_.clear();
    changed_.wake_all();
  }
}

Task<void> OutputWriter::write(std::string_view text) {
  if (!piece_) {
    auto acquired = reactor_.buffers().acquire(k_output_size);
    if (!acquired) end_without_output(acquired.error().message);
    piece_ = *std::move(acquired);
  }
  while (!text.empty() && state_ == Output::open) {
    const std::size_t size = std::min(text.size(), k_output_size);
    std::memcpy(piece_.data(), text.data(), size);
    text.remove_prefix(size);
    const Slice slice{piece_, 0, static_cast<std::uint32_t>(size)};
    const auto written = co_await reactor_.write(output_, slice, 0, Sync::no);
    if (written) continue;
    if (written.error().code != ErrorCode::connection_lost) end_without_output(written.error().message);
    state_ = Output::closed;
  }
}

}  // namespace millrace::tools

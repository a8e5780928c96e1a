#include "tools/line_source.h"

#include <utility>

namespace millrace::tools {
namespace {

constexpr std::uint32_t k_piece_size = 1u << 20;

}  // namespace

LineSource::LineSource(Reactor& reactor, File input, std::uint64_t line_size_max)
    : reactor_(reactor), input_(std::move(input)), line_size_max_(line_size_max) {}

std::optional<std::string_view> LineSource::next() {
  if (std::exchange(carried_given_, false)) carried_.clear();
  const std::size_t end = rest_.find('\n');
  if (end == std::string_view::npos) {
    carried_.append(std::exchange(rest_, {}));
    if (!ended_ || carried_.empty()) return std::nullopt;
    carried_given_ = true;
    ++lines_;
    return carried_;
  }
  std::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(end + 1);
  ++lines_;
  if (carried_.empty()) return line;
  carried_.append(line);
  carried_given_ = true;
  return carried_;
}

Task<Result<bool>> LineSource::more() {
  if (ended_) co_return false;
  if (carried_.size() > line_size_max_) {
    co_return fail(
        ErrorCode::invalid_argument,
        "line {} is longer than {} bytes, the most that a record may have; --raw takes no more either",
        lines_ + 1, line_size_max_);
  }
  if (!read_) {
    for (Buffer* buffer : {&current_, &reading_}) {
      if (!*buffer) {
        CO_TRY(*buffer, reactor_.buffers().acquire(k_piece_size));
      }
    }
    start();
  }
  Operation<std::uint64_t> read = *std::exchange(read_, std::nullopt);
  CO_TRY(const std::uint64_t count, co_await read);
  std::swap(current_, reading_);
  rest_ = {reinterpret_cast<const char*>(current_.data()), count};
  ended_ = count == 0;
  if (!ended_) start();
  co_return true;
}

void LineSource::start() {
  read_.emplace(reactor_.read(input_, Slice{reading_, 0, k_piece_size}, 0));
}

}  // namespace millrace::tools

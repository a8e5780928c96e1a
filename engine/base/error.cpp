#include "engine/base/error.h"

#include <array>

namespace millrace {
namespace {

enum class Retry : std::uint8_t { no, yes };

struct Row {
  ErrorCode code;
  std::string_view name;
  Retry retry;
};

constexpr std::array k_rows = {
    Row{ErrorCode::invalid_argument, "invalid_argument", Retry::no},
    Row{ErrorCode::unknown_topic, "unknown_topic", Retry::no},
    Row{ErrorCode::topic_exists, "topic_exists", Retry::no},
    Row{ErrorCode::offset_out_of_range, "offset_out_of_range", Retry::no},
    Row{ErrorCode::record_too_large, "record_too_large", Retry::no},
    // The sender's copy may be whole, as with Kafka's retriable CORRUPT_MESSAGE.
    Row{ErrorCode::corrupt_batch, "corrupt_batch", Retry::yes},
    Row{ErrorCode::invalid_batch, "invalid_batch", Retry::no},
    Row{ErrorCode::unsupported_compression, "unsupported_compression", Retry::no},
    Row{ErrorCode::unsupported_version, "unsupported_version", Retry::no},
    Row{ErrorCode::protocol_error, "protocol_error", Retry::no},
    Row{ErrorCode::frame_too_large, "frame_too_large", Retry::no},
    Row{ErrorCode::not_found, "not_found", Retry::no},
    Row{ErrorCode::already_exists, "already_exists", Retry::no},
    Row{ErrorCode::out_of_order_sequence, "out_of_order_sequence", Retry::no},
    Row{ErrorCode::producer_fenced, "producer_fenced", Retry::no},
    Row{ErrorCode::unknown_producer, "unknown_producer", Retry::no},
    Row{ErrorCode::overloaded, "overloaded", Retry::yes},
    Row{ErrorCode::disk_full, "disk_full", Retry::yes},
    Row{ErrorCode::not_leader, "not_leader", Retry::yes},
    Row{ErrorCode::shutting_down, "shutting_down", Retry::yes},
    Row{ErrorCode::timed_out, "timed_out", Retry::yes},
    Row{ErrorCode::unavailable, "unavailable", Retry::yes},
    Row{ErrorCode::connection_lost, "connection_lost", Retry::yes},
    Row{ErrorCode::cancelled, "cancelled", Retry::yes},
    Row{ErrorCode::io_error, "io_error", Retry::no},
    Row{ErrorCode::corruption, "corruption", Retry::no},
    Row{ErrorCode::wrong_folder, "wrong_folder", Retry::no},
    Row{ErrorCode::folder_in_use, "folder_in_use", Retry::no},
    Row{ErrorCode::sync_failed, "sync_failed", Retry::no},
    Row{ErrorCode::permission_denied, "permission_denied", Retry::no},
    Row{ErrorCode::unsupported, "unsupported", Retry::no},
};

const Row* find(ErrorCode code) {
  for (const Row& row : k_rows) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

}  // namespace

std::string_view name(ErrorCode code) {
  const Row* row = find(code);
  return row == nullptr ? std::string_view("unknown") : row->name;
}

bool retryable(ErrorCode code) {
  const Row* row = find(code);
  return row != nullptr && row->retry == Retry::yes;
}

std::optional<ErrorCode> error_code(std::uint16_t number) {
  const Row* row = find(static_cast<ErrorCode>(number));
  if (row == nullptr) return std::nullopt;
  return row->code;
}

}  // namespace millrace

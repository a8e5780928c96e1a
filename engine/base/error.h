// Errors of the world as values: a closed set of codes with stable numbers, a message that says what was
// wrong and what to do, and Result<T>, which the compiler does not let anybody ignore.
#pragma once

#include <cstdint>
#include <expected>
#include <fmt/format.h>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace millrace {

// The numbers travel in answers to clients and stand in scripts' logs: never reused, never renumbered.
enum class ErrorCode : std::uint16_t {
  // what the caller asked for
  invalid_argument = 1,         // a value outside its range; the message names both
  unknown_topic = 2,            // no such topic or partition
  topic_exists = 3,             // create of a name that is taken
  offset_out_of_range = 4,      // fetch or trim outside [log start, end]
  record_too_large = 5,         // a batch above the limit
  corrupt_batch = 6,            // a batch whose CRC-32C does not match its bytes
  invalid_batch = 7,            // a batch with lying counts, lengths or attributes
  unsupported_compression = 8,  // a codec that this program does not decode; the message names it
  unsupported_version = 9,      // protocol or file of a version that this program does not speak
  protocol_error = 10,          // bytes that are no frame, or a frame that is no request
  frame_too_large = 11,         // announced length above the limit
  not_found = 12,               // no such file or group
  already_exists = 13,          // a file or group that should not be there
  out_of_order_sequence = 14,   // a producer's batch whose predecessors the log does not hold
  producer_fenced = 15,         // a batch of an epoch that its producer has left
  unknown_producer = 16,        // a producer that goes on, of which nothing is remembered
  // the state of things; retryable
  overloaded = 20,       // a bound is reached; the message names it
  disk_full = 21,        // no space for the append; goes on by itself when there is
  not_leader = 22,       // ask the leader hint
  shutting_down = 23,    // the server stops; ask again later
  timed_out = 24,        // the deadline passed; what happened to the request is in the message
  unavailable = 25,      // no connection could be made
  connection_lost = 26,  // before the answer: the outcome of the request is unknown
  cancelled = 27,        // the operation was cancelled before it happened
  // the machine
  io_error = 40,           // the kernel said no; the message has the call, the name and the reason
  corruption = 41,         // a checksum or the chain does not hold; the message has file and position
  wrong_folder = 42,       // a data folder of another cluster or version, or not ours
  folder_in_use = 43,      // another process holds the data folder
  sync_failed = 44,        // a data sync failed; nothing after it is known, the process ends
  permission_denied = 45,  // the kernel refused; the message says what to grant
  unsupported = 46,        // this kernel or file system lacks it
};

// "disk_full": the code's name, for logs, JSON and tests.
[[nodiscard]] std::string_view name(ErrorCode code);
// Whether the same request may succeed later without any change by the caller.
[[nodiscard]] bool retryable(ErrorCode code);
// Whether what was asked for is at fault, whatever the state of who was asked: as 4xx of HTTP, not 5xx.
[[nodiscard]] constexpr bool is_of_the_caller(ErrorCode code) {
  return code < ErrorCode::overloaded;
}
// The code with this number, or nothing: numbers come from the wire.
[[nodiscard]] std::optional<ErrorCode> error_code(std::uint16_t number);

struct [[nodiscard]] Error {
  ErrorCode code{};
  std::string message;
};

template <class T>
using Result = std::expected<T, Error>;

// return fail(ErrorCode::disk_full, "topic {} has no space", name);
template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format,
                                          Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}
[[nodiscard]] inline std::unexpected<Error> fail(Error error) {
  return std::unexpected(std::move(error));
}

}  // namespace millrace

// TRY_VOID(expr): returns (or, in a coroutine, CO_TRY_VOID co_returns) the error of a failed Result.
// TRY(auto x, expr): the same, and names the value.
#define MILLRACE_CONCAT_(a, b) a##b
#define MILLRACE_CONCAT(a, b) MILLRACE_CONCAT_(a, b)
#define MILLRACE_TRY_(ret, result, declaration, ...) \
  auto result = (__VA_ARGS__);                       \
  if (!result) [[unlikely]]                          \
    ret ::millrace::fail(std::move(result).error()); \
  declaration = *std::move(result)
#define MILLRACE_TRY_VOID_(ret, ...)                               \
  do {                                                             \
    if (auto try_result = (__VA_ARGS__); !try_result) [[unlikely]] \
      ret ::millrace::fail(std::move(try_result).error());         \
  } while (false)
#define TRY(declaration, ...) MILLRACE_TRY_(return, MILLRACE_CONCAT(try_, __LINE__), declaration, __VA_ARGS__)
#define TRY_VOID(...) MILLRACE_TRY_VOID_(return, __VA_ARGS__)
#define CO_TRY(declaration, ...) \
  MILLRACE_TRY_(co_return, MILLRACE_CONCAT(try_, __LINE__), declaration, __VA_ARGS__)
#define CO_TRY_VOID(...) MILLRACE_TRY_VOID_(co_return, __VA_ARGS__)

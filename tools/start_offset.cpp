#include "tools/start_offset.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

namespace millrace::tools {
namespace {

// Takes the number with exactly `digits` digits from the front of `text`.
std::optional<int> take_digits(std::string_view& text, std::size_t digits) {
  int value = 0;
  if (text.size() < digits) return std::nullopt;
  for (const char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// ".25" as 250; nothing there is 0.
std::optional<int> take_milliseconds(std::string_view& text) {
  if (!take(text, ".")) return 0;
  int value = 0, digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), ++digits) {
    if (digits < 3) value = value * 10 + (text.front() - '0');
  }
  if (digits == 0) return std::nullopt;
  for (int i = digits; i < 3; ++i) value *= 10;
  return value;
}

// "Z" or "+02:00", in minutes east.
std::optional<int> take_zone(std::string_view& text) {
  if (take(text, "Zz")) return 0;
  const int sign = !text.empty() && text.front() == '-' ? -1 : 1;
  if (!take(text, "+-")) return std::nullopt;
  const auto hours = take_digits(text, 2);
  if (!hours || !take(text, ":")) return std::nullopt;
  const auto minutes = take_digits(text, 2);
  if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * (*hours * 60 + *minutes);
}

// RFC 3339 section 5.6.
std::optional<std::int64_t> parse_time(std::string_view text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, "-")) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, "-")) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day || !take(text, "Tt ")) return std::nullopt;
  const auto hour = take_digits(text, 2);
  if (!hour || !take(text, ":")) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || !take(text, ":")) return std::nullopt;
  const auto second = take_digits(text, 2);
  const auto milliseconds = take_milliseconds(text);
  const auto zone = take_zone(text);
  if (!second || !milliseconds || !zone || !text.empty()) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return (((days * 24 + *hour) * 60 + *minute - *zone) * 60 + *second) * 1000 + *milliseconds;
}

// Digits alone.
std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.front() == '-') return std::nullopt;
  return value;
}

Task<Result<Offset>> find_before_end(Client& client, PartitionName partition, std::int64_t records) {
  CO_TRY(const ListedOffset earliest, co_await client.list_offset(partition, OffsetQuery::earliest));
  CO_TRY(const ListedOffset latest, co_await client.list_offset(partition, OffsetQuery::latest));
  co_return std::max(earliest.offset, Offset{latest.offset.value() - records});
}

}  // namespace

Result<StartOffset> StartOffset::parse(const std::string& text) {
  if (text == "earliest" || text == "beginning") return StartOffset{};
  if (text == "latest" || text == "end") return StartOffset{.query = Query::latest};
  if (const auto offset = parse_number(text)) return StartOffset{.query = Query::offset, .value = *offset};
  if (text.starts_with('-')) {
    if (const auto records = parse_number(std::string_view(text).substr(1)))
      return StartOffset{.query = Query::before_end, .value = *records};
  }
  if (text.starts_with('@')) {
    const std::string_view time = std::string_view(text).substr(1);
    if (const auto number = parse_number(time))
      return StartOffset{.query = Query::timestamp, .value = *number};
    if (const auto parsed = parse_time(time)) return StartOffset{.query = Query::timestamp, .value = *parsed};
  }
  return fail(ErrorCode::invalid_argument,
              "'{}' is no place in a topic; give an offset from 0, -N for N records before the end, "
              "earliest, latest, @ "
              "and milliseconds since 1970, or @2026-01-31T12:00:00Z",
              text);
}

Task<Result<Offset>> find_offset(Client& client, PartitionName partition, StartOffset place) {
  if (place.query == StartOffset::Query::offset) co_return Offset{place.value};
  if (place.query == StartOffset::Query::before_end)
    co_return co_await find_before_end(client, std::move(partition), place.value);
  OffsetQuery query = OffsetQuery::earliest;
  if (place.query == StartOffset::Query::latest) query = OffsetQuery::latest;
  if (place.query == StartOffset::Query::timestamp) query = OffsetQuery::timestamp;
  CO_TRY(const ListedOffset listed, co_await client.list_offset(std::move(partition), query, place.value));
  co_return listed.offset;
}

}  // namespace millrace::tools

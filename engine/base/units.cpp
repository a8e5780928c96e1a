#include "engine/base/units.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>
#include <optional>
#include <span>

namespace millrace {
namespace {

struct Unit {
  std::string_view name;  // lower case
  std::uint64_t factor;
};

constexpr std::array k_sizes = {
    Unit{"", 1},
    Unit{"b", 1},
    Unit{"kib", std::uint64_t{1} << 10},
    Unit{"mib", std::uint64_t{1} << 20},
    Unit{"gib", std::uint64_t{1} << 30},
    Unit{"tib", std::uint64_t{1} << 40},
    Unit{"kb", 1'000},
    Unit{"mb", 1'000'000},
    Unit{"gb", 1'000'000'000},
    Unit{"tb", 1'000'000'000'000},
};
constexpr std::array k_durations = {
    Unit{"ns", 1},
    Unit{"us", 1'000},
    Unit{"ms", 1'000'000},
    Unit{"s", 1'000'000'000},
    Unit{"m", 60'000'000'000},
    Unit{"h", 3'600'000'000'000},
    Unit{"d", 86'400'000'000'000},
};

// A whole number, spaces, a unit; nothing when the text is anything else or above `largest`.
std::optional<std::uint64_t> parse(std::string_view text, std::span<const Unit> units,
                                   std::uint64_t largest) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc()) return std::nullopt;
  std::string unit(after, end);
  unit.erase(0, unit.find_first_not_of(' '));
  std::ranges::transform(unit, unit.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto found = std::ranges::find(units, unit, &Unit::name);
  if (found == units.end() || number > largest / found->factor) return std::nullopt;
  return number * found->factor;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  if (const auto bytes = parse(text, k_sizes, std::numeric_limits<std::uint64_t>::max())) return *bytes;
  return fail(ErrorCode::invalid_argument,
              "'{}' is no size; expected a whole number and B, KiB, MiB, GiB or TiB, as in 64MiB", text);
}

Result<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration(0);
  constexpr auto k_largest = static_cast<std::uint64_t>(Duration::max().count());
  if (const auto ns = parse(text, k_durations, k_largest)) return Duration(static_cast<Duration::rep>(*ns));
  return fail(ErrorCode::invalid_argument,
              "'{}' is no duration; expected a whole number and ns, us, ms, s, m, h or d, as in 250ms", text);
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 7> k_names = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  while (unit + 1 < k_names.size() && bytes >> (10 * (unit + 1)) != 0) ++unit;
  const std::uint64_t whole = bytes >> (10 * unit);
  // Cut off, not rounded: 1023.9 KiB is not 1024 KiB.
  const std::uint64_t rest = bytes - (whole << (10 * unit));
  const std::uint64_t tenth = unit == 0 ? 0 : ((rest >> (10 * (unit - 1))) * 10) >> 10;
  if (tenth == 0) return fmt::format("{} {}", whole, k_names[unit]);
  return fmt::format("{}.{} {}", whole, tenth, k_names[unit]);
}

std::string format_duration(Duration duration) {
  auto rest = static_cast<std::uint64_t>(std::max<Duration::rep>(duration.count(), 0));
  std::string text;
  for (std::size_t i = k_durations.size(), last = 0; i-- > last && rest != 0;) {
    const Unit& unit = k_durations[i];
    if (rest < unit.factor) continue;
    // Behind the first unit only the next smaller one says something.
    if (text.empty() && i != 0) last = i - 1;
    text += fmt::format("{}{}{}", text.empty() ? "" : " ", rest / unit.factor, unit.name);
    rest %= unit.factor;
  }
  return text.empty() ? "0s" : text;
}

}  // namespace millrace

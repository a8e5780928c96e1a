// Sizes and durations as people write them in flags and config files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/time.h"

namespace millrace {

// "4096", "64KiB", "1 GiB", "10MB": a whole number and B, KiB, MiB, GiB, TiB (powers of 1024) or KB, MB, GB,
// TB (powers of 1000), in any case; bytes without a unit. invalid_argument says what is expected.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);

// "250ms", "30s", "5 m", "1h", "7d"; also us and ns. The unit is required, except for 0.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);

// "512 B", "64 KiB", "1.5 MiB": one digit after the point where it is not 0.
[[nodiscard]] std::string format_size(std::uint64_t bytes);

// "250ms", "90s" as "1m 30s", "7d", "2d 3h": at most two units, cut off behind them; "0s".
[[nodiscard]] std::string format_duration(Duration duration);

}  // namespace millrace

#include "engine/log/data_folder.h"

#include <charconv>
#include <fmt/format.h>

namespace millrace {
namespace {

constexpr std::string_view k_journal_suffix = ".journal";
constexpr std::string_view k_segment_suffix = ".segment";
constexpr std::string_view k_in_making_suffix = ".new";

// A number of exactly `digits` digits: names have one spelling each, so that one number cannot stand in two
// files.
template <class Number>
std::optional<Number> parse_fixed(std::string_view text, std::size_t digits, int base) {
  if (text.size() != digits) return std::nullopt;
  for (const char c : text) {
    const bool hex_letter = base == 16 && c >= 'a' && c <= 'f';
    if ((c < '0' || c > '9') && !hex_letter) return std::nullopt;
  }
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::string_view> without_suffix(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  return name.substr(0, name.size() - suffix.size());
}

}  // namespace

std::string DataFolder::journal_file(std::uint32_t file_id) const {
  return fmt::format("{}/{:08}{}", journal_folder(), file_id, k_journal_suffix);
}

std::string DataFolder::group_folder(GroupId group) const {
  return fmt::format("{}/{:016x}", groups_folder(), group.value());
}

std::string DataFolder::segment(GroupId group, Index first) const {
  return fmt::format("{}/{:020}{}", group_folder(group), first.value(), k_segment_suffix);
}

std::string DataFolder::segment_in_making(GroupId group, Index first) const {
  return segment(group, first) + std::string(k_in_making_suffix);
}

std::optional<std::uint32_t> DataFolder::journal_file_id(std::string_view name) {
  const auto stem = without_suffix(name, k_journal_suffix);
  if (!stem) return std::nullopt;
  return parse_fixed<std::uint32_t>(*stem, 8, 10);
}

std::optional<GroupId> DataFolder::group_of(std::string_view name) {
  const auto number = parse_fixed<std::uint64_t>(name, 16, 16);
  if (!number) return std::nullopt;
  return GroupId{*number};
}

std::optional<Index> DataFolder::segment_first_index(std::string_view name) {
  const auto stem = without_suffix(name, k_segment_suffix);
  if (!stem) return std::nullopt;
  const auto number = parse_fixed<std::uint64_t>(*stem, 20, 10);
  if (!number) return std::nullopt;
  return Index{*number};
}

}  // namespace millrace

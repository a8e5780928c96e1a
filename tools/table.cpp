#include "tools/table.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <string_view>
#include <vector>

#include "engine/base/units.h"

namespace millrace::tools {
namespace {

constexpr std::string_view k_milliseconds = "_ms";

struct Column {
  std::string key;
  std::string head;
  bool right = true;
  std::size_t width = 0;
  std::vector<std::string> cells;
};

bool is_size(std::string_view key) {
  return key == "bytes" || key.ends_with("_bytes");
}

std::string head_of(const std::string& key) {
  return key.ends_with(k_milliseconds) ? key.substr(0, key.size() - k_milliseconds.size()) : key;
}

std::string cell_of(const std::string& key, const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_number_integer() && is_size(key)) return format_size(value.get<std::uint64_t>());
  if (value.is_number_integer() && key.ends_with(k_milliseconds))
    return format_duration(std::chrono::milliseconds(value.get<std::int64_t>()));
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number_float()) return fmt::format("{:.1f}", value.get<double>());
  return value.dump();
}

void append_line(std::string& out, const std::vector<Column>& columns, std::size_t row, bool head) {
  std::string line;
  for (const Column& column : columns) {
    const std::string& text = head ? column.head : column.cells[row];
    if (!line.empty()) line.append("  ");
    if (column.right) {
      fmt::format_to(std::back_inserter(line), "{:>{}}", text, column.width);
    } else {
      fmt::format_to(std::back_inserter(line), "{:<{}}", text, column.width);
    }
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out.append(line).push_back('\n');
}

}  // namespace

std::string table_of(const Json& rows) {
  if (rows.empty()) return "(none)\n";
  std::vector<Column> columns;
  for (const auto& [key, value] : rows.front().items())
    columns.push_back({.key = key, .head = head_of(key), .width = head_of(key).size(), .cells = {}});
  for (const Json& row : rows) {
    for (Column& column : columns) {
      const Json& value = row.at(column.key);
      column.right = column.right && (value.is_number() || value.is_null());
      column.cells.push_back(cell_of(column.key, value));
      column.width = std::max(column.width, column.cells.back().size());
    }
  }
  std::string out;
  append_line(out, columns, 0, true);
  for (std::size_t row = 0; row < rows.size(); ++row) append_line(out, columns, row, false);
  return out;
}

std::string list_of(const Json& object) {
  std::size_t width = 0;
  for (const auto& [key, value] : object.items()) {
    if (value.is_primitive()) width = std::max(width, head_of(key).size());
  }
  std::string out;
  for (const auto& [key, value] : object.items()) {
    if (value.is_primitive())
      fmt::format_to(std::back_inserter(out), "{:<{}}  {}\n", head_of(key), width, cell_of(key, value));
  }
  return out;
}

std::string json_text(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace millrace::tools

#include "tools/table.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <vector>

namespace millrace::tools {
namespace {

struct Column {
  std::string head;
  bool right = true;
  std::size_t width = 0;
  std::vector<std::string> cells;
};

std::string cell_of(const Json& value) {
  if (value.is_null()) return "-";
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
    columns.push_back({.head = key, .width = key.size(), .cells = {}});
  for (const Json& row : rows) {
    for (Column& column : columns) {
      const Json& value = row.at(column.head);
      column.right = column.right && (value.is_number() || value.is_null());
      column.cells.push_back(cell_of(value));
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
    if (value.is_primitive()) width = std::max(width, key.size());
  }
  std::string out;
  for (const auto& [key, value] : object.items()) {
    if (value.is_primitive())
      fmt::format_to(std::back_inserter(out), "{:<{}}  {}\n", key, width, cell_of(value));
  }
  return out;
}

std::string json_text(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace millrace::tools

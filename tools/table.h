// What commands print: the same fields as an aligned table for people or as JSON for programs. JSON has plain
// numbers, with their unit in the field's name; in tables, fields named "bytes", "..._bytes" and "..._ms"
// stand in the unit that suits them ("256 MiB", "7d"), the latter without "_ms" in their name.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace millrace::tools {

using Json = nlohmann::ordered_json;

enum class OutputFormat { table, json };

// Rows (an array of objects with the same keys) as a table: the keys as heads, numbers to the right. Without
// rows, "(none)".
[[nodiscard]] std::string table_of(const Json& rows);
// One object as lines "key  value"; nested objects and arrays are left out.
[[nodiscard]] std::string list_of(const Json& object);
// Indented, with a line break at the end. Bytes that are no UTF-8 become the replacement character.
[[nodiscard]] std::string json_text(const Json& value);

}  // namespace millrace::tools

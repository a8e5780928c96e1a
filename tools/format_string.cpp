#include "tools/format_string.h"

#include <charconv>
#include <fmt/format.h>
#include <iterator>
#include <optional>

namespace millrace::tools {
namespace {

constexpr std::string_view k_fields = "tpoTkKsSh";

void append(std::string& out, ByteView bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void append_number(std::string& out, std::int64_t number) {
  fmt::format_to(std::back_inserter(out), "{}", number);
}

std::int64_t length_of(const std::optional<ByteView>& bytes) {
  return bytes ? static_cast<std::int64_t>(bytes->size()) : -1;
}

void append_headers(std::string& out, std::span<const RecordHeader> headers) {
  for (std::size_t i = 0; i < headers.size(); ++i) {
    if (i != 0) out.push_back(',');
    out.append(headers[i].key).push_back('=');
    if (headers[i].value) {
      append(out, *headers[i].value);
    } else {
      out.append("NULL");
    }
  }
}

// The character that an escape sequence stands for; `text` begins with its backslash, `used` is its length.
std::optional<char> unescape(std::string_view text, std::size_t& used) {
  if (text.size() < 2) return std::nullopt;
  used = 2;
  switch (text[1]) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case '\\':
      return '\\';
    case 'x': {
      std::uint8_t value = 0;
      const auto digits = text.substr(2, 2);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
      if (error != std::errc() || digits.size() != 2 || end != digits.data() + 2) return std::nullopt;
      used = 4;
      return static_cast<char>(value);
    }
    default:
      return std::nullopt;
  }
}

}  // namespace

void FormatString::add_literal(std::string_view text) {
  if (pieces_.empty() || pieces_.back().field != 0) pieces_.emplace_back();
  pieces_.back().literal.append(text);
}

Result<FormatString> FormatString::parse(std::string_view text) {
  FormatString format;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\\') {
      std::size_t used = 0;
      const auto character = unescape(text.substr(at), used);
      if (!character) {
        return fail(ErrorCode::invalid_argument,
                    "'{}' at character {} of the format means nothing; there are \\n \\r \\t \\\\ \\xHH",
                    text.substr(at, 2), at + 1);
      }
      format.add_literal({&*character, 1});
      at += used;
    } else if (text[at] != '%') {
      format.add_literal(text.substr(at, 1));
      ++at;
    } else {
      const char field = at + 1 < text.size() ? text[at + 1] : '\0';
      if (field == '%') {
        format.add_literal("%");
      } else if (k_fields.find(field) != std::string_view::npos && field != '\0') {
        format.pieces_.push_back({field, {}});
      } else {
        return fail(
            ErrorCode::invalid_argument,
            "'{}' at character {} of the format means nothing; there are %t %p %o %T %k %K %s %S %h %%",
            text.substr(at, 2), at + 1);
      }
      at += 2;
    }
  }
  return format;
}

void FormatString::print(std::string_view topic, std::uint32_t partition, const RecordView& record,
                         std::string& out) const {
  for (const Piece& piece : pieces_) {
    switch (piece.field) {
      case 't':
        out.append(topic);
        break;
      case 'p':
        append_number(out, partition);
        break;
      case 'o':
        append_number(out, record.offset.value());
        break;
      case 'T':
        append_number(out, record.timestamp);
        break;
      case 'k':
        if (record.key) append(out, *record.key);
        break;
      case 'K':
        append_number(out, length_of(record.key));
        break;
      case 's':
        if (record.value) append(out, *record.value);
        break;
      case 'S':
        append_number(out, length_of(record.value));
        break;
      case 'h':
        append_headers(out, record.headers);
        break;
      default:
        out.append(piece.literal);
    }
  }
}

}  // namespace millrace::tools

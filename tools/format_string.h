// Formats of records for `consume -f` and `produce --acked`, as kcat has them:
//
//   %t topic    %p partition    %o offset    %T timestamp (milliseconds since 1970)
//   %k key      %K its length   %s value     %S its length    (lengths are -1 where there is none)
//   %h headers  name=value,name=value (NULL where a header has no value)
//   %% a percent sign
//   \n \r \t \\ \xHH
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/record_reader.h"

namespace millrace::tools {

class FormatString {
 public:
  // invalid_argument names the sequence that means nothing, and where it stands.
  [[nodiscard]] static Result<FormatString> parse(std::string_view text);

  // Appends the record to `out`. Bytes of keys, values and headers go out as they are.
  void print(std::string_view topic, std::uint32_t partition, const RecordView& record,
             std::string& out) const;

 private:
  struct Piece {
    char field = 0;  // the letter after %, or 0 for a literal
    std::string literal;
  };
  void add_literal(std::string_view text);

  std::vector<Piece> pieces_;
};

}  // namespace millrace::tools

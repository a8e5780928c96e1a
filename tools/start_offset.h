// Places in a topic, as `millrace consume` and `millrace topic trim` take them.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/error.h"
#include "net/client/client.h"

namespace millrace::tools {

struct StartOffset {
  enum class Query : std::uint8_t { earliest, latest, offset, before_end, timestamp };
  Query query = Query::earliest;
  std::int64_t value = 0;  // the offset, the records before the end, or milliseconds since 1970

  // "earliest", "latest" or as kcat says "beginning", "end"; "4711"; "-10", the last ten of each partition,
  // or all where there are fewer; "@1767225600000", "@2026-01-01T00:00:00Z" (RFC 3339: fractions and "+02:00"
  // as well).
  [[nodiscard]] static Result<StartOffset> parse(const std::string& text);
};

// The place as an offset of this partition; what Client::list_offset gives.
Task<Result<Offset>> find_offset(Client& client, PartitionName partition, StartOffset place);

}  // namespace millrace::tools

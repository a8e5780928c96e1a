// 16-byte ids as the tables carry them: two little-endian halves, in the order of the bytes.
#pragma once

#include "engine/base/endian.h"
#include "engine/base/ids.h"
#include "engine/wire/protocol_generated.h"

namespace millrace {

template <class Tag>
[[nodiscard]] wire::Id to_wire(const Uuid<Tag>& id) {
  return {load_le<std::uint64_t>(id.bytes.data()), load_le<std::uint64_t>(id.bytes.data() + 8)};
}

// from_wire<TopicId>(*table->topic_id())
template <class U>
[[nodiscard]] U from_wire(const wire::Id& id) {
  U result;
  store_le<std::uint64_t>(result.bytes.data(), id.a());
  store_le<std::uint64_t>(result.bytes.data() + 8, id.b());
  return result;
}

}  // namespace millrace

// What group 0 says about a topic: a record with the key "topic/NAME", whose value is a TopicRecord
// (engine/wire/metadata.fbs), or, without a value, that the topic is deleted.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/base/time.h"
#include "net/topic_table.h"

namespace millrace {

struct TopicChange {
  std::string name;
  std::optional<Topic> topic;  // nothing: deleted
  friend bool operator==(const TopicChange&, const TopicChange&) = default;
};

// A batch of one record, ready to be appended to group 0. overloaded when the pool has no memory.
[[nodiscard]] Result<Slice> encode_topic_change(BufferPool& pool, const TopicChange& change, WallTime now);

// The changes that a batch of group 0 holds, in their order. Records about other things, from a newer
// program, are unsupported_version: what they mean for topics nobody here knows. corruption for what is no
// record of ours.
[[nodiscard]] Result<std::vector<TopicChange>> decode_topic_changes(std::span<const std::byte> batch);

}  // namespace millrace

#include "net/topic_table.h"

#include <algorithm>
#include <utility>

namespace millrace {
namespace {

bool may_stand_in_a_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '-';
}

}  // namespace

Result<void> check_topic_name(std::string_view name) {
  if (name.empty() || name.size() > k_topic_name_size_max) {
    return fail(ErrorCode::invalid_argument, "a topic name of {} characters; 1 to {} are allowed",
                name.size(), k_topic_name_size_max);
  }
  // The name is not repeated here: whatever it holds would end up on somebody's terminal.
  if (!std::ranges::all_of(name, may_stand_in_a_name)) {
    return fail(ErrorCode::invalid_argument,
                "a topic name with a character that is none of a-z, A-Z, 0-9, '.', '_' and '-'");
  }
  if (name == "." || name == "..")
    return fail(ErrorCode::invalid_argument, "a topic cannot be named '{}'", name);
  return {};
}

Result<void> check_topic(const Topic& topic) {
  TRY_VOID(check_topic_name(topic.name));
  if (topic.partitions < 1 || topic.partitions > k_partitions_max) {
    return fail(ErrorCode::invalid_argument, "{} partitions; 1 to {} are possible", topic.partitions,
                k_partitions_max);
  }
  if (topic.settings.segment_size < k_segment_size_min || topic.settings.segment_size > k_segment_size_max) {
    return fail(ErrorCode::invalid_argument, "segments of {} bytes; {} to {} are possible, 0 means {}",
                topic.settings.segment_size, k_segment_size_min, k_segment_size_max, k_segment_size_default);
  }
  return {};
}

void TopicTable::put(Topic topic) {
  erase(topic.name);
  std::string name = topic.name;
  const auto at = topics_.emplace(std::move(name), std::move(topic)).first;
  by_id_[at->second.id] = &at->second;
}

void TopicTable::erase(std::string_view name) {
  const auto at = topics_.find(name);
  if (at == topics_.end()) return;
  by_id_.erase(at->second.id);
  topics_.erase(at);
}

const Topic* TopicTable::find(std::string_view name) const {
  const auto at = topics_.find(name);
  return at == topics_.end() ? nullptr : &at->second;
}

const Topic* TopicTable::find(const TopicId& id) const {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : at->second;
}

}  // namespace millrace

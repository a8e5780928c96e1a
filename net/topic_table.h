// Topics and their table: what the cluster's metadata says, as every shard keeps a copy of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/ids.h"
#include "engine/log/shard_log.h"

namespace millrace {

struct Topic {
  std::string name;
  TopicId id;
  std::uint32_t partitions = 1;
  LogSettings settings;
  GroupId first_group{0};  // partition p is group first_group + p
  [[nodiscard]] GroupId group(std::uint32_t partition) const { return first_group + partition; }
  friend bool operator==(const Topic&, const Topic&) = default;
};

// 1 to 249 of [a-zA-Z0-9._-], and neither "." nor "..": Kafka's rule. invalid_argument says what is wrong.
[[nodiscard]] Result<void> check_topic_name(std::string_view name);
// invalid_argument names the value that is outside its range.
[[nodiscard]] Result<void> check_topic(const Topic& topic);

class TopicTable {
 public:
  // In the order of their names.
  using Topics = std::map<std::string, Topic, std::less<>>;

  // Adds the topic, or replaces the one of that name.
  void put(Topic topic);
  void erase(std::string_view name);
  // Valid until the table changes; null when there is none.
  [[nodiscard]] const Topic* find(std::string_view name) const;
  [[nodiscard]] const Topic* find(const TopicId& id) const;
  [[nodiscard]] const Topics& all() const { return topics_; }

 private:
  Topics topics_;
  std::map<TopicId, const Topic*> by_id_;
};

}  // namespace millrace

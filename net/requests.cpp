// What handlers of several requests share.
#include <algorithm>

#include "net/handlers.h"

namespace millrace {
namespace {

Result<const Topic*> find_topic(const ShardContext& context, const wire::Partition& partition) {
  if (partition.topic() != nullptr) {
    const std::string_view name = partition.topic()->string_view();
    if (const Topic* topic = context.topics.find(name)) return topic;
    // A name that cannot be one is not repeated to whoever reads the message.
    if (auto checked = check_topic_name(name); !checked)
      return fail(ErrorCode::unknown_topic, "{}", checked.error().message);
    return fail(ErrorCode::unknown_topic, "no topic '{}'; create it first", name);
  }
  if (partition.topic_id() == nullptr) {
    return fail(ErrorCode::protocol_error, "a request that names neither topic nor topic id");
  }
  if (const Topic* topic = context.topics.find(from_wire<TopicId>(*partition.topic_id()))) return topic;
  return fail(ErrorCode::unknown_topic, "no topic with this id; it may have been deleted");
}

}  // namespace

Result<GroupId> find_group(const ShardContext& context, const wire::Partition* partition) {
  if (partition == nullptr) return fail(ErrorCode::protocol_error, "a request that names no partition");
  TRY(const Topic* topic, find_topic(context, *partition));
  if (partition->partition() >= topic->partitions) {
    return fail(ErrorCode::unknown_topic, "topic '{}' has no partition {}; it has {}, from 0", topic->name,
                partition->partition(), topic->partitions);
  }
  return topic->group(partition->partition());
}

MonotonicTime deadline_of(const ShardContext& context, const InboundRequest& request,
                          std::uint32_t deadline_ms) {
  if (deadline_ms == 0) return request.received + context.options.request_deadline;
  return request.received + std::chrono::milliseconds(std::min(deadline_ms, k_request_deadline_max_ms));
}

Error for_client(Error error) {
  if (error.code == ErrorCode::not_found) {
    return {ErrorCode::unknown_topic,
            "the topic was deleted, or its partition is not ready: " + error.message};
  }
  return error;
}

}  // namespace millrace

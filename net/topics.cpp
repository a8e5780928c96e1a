// Create, list, describe, alter and delete topics. Changes are the catalog's business, on shard 0.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "net/catalog.h"
#include "net/handlers.h"

namespace millrace {
namespace {

// Runs `function(Catalog&)`, a task, where the catalog is.
template <class Function>
auto on_catalog(ShardContext& context, Function function) -> std::invoke_result_t<Function&, Catalog&> {
  return on_owner(context, k_metadata_group, [function = std::move(function)](ShardContext& there) mutable {
    return function(*there.catalog);
  });
}

std::string_view text(const flatbuffers::String* string) {
  return string == nullptr ? std::string_view() : string->string_view();
}

Result<const Topic*> find_topic(const ShardContext& context, const flatbuffers::String* name,
                                const wire::Id* id) {
  const Topic* topic = nullptr;
  if (name != nullptr) {
    topic = context.topics.find(name->string_view());
  } else if (id != nullptr) {
    topic = context.topics.find(from_wire<TopicId>(*id));
  } else {
    return fail(ErrorCode::protocol_error, "a request that names neither topic nor topic id");
  }
  if (topic != nullptr) return topic;
  if (name != nullptr && check_topic_name(name->string_view())) {
    return fail(ErrorCode::unknown_topic, "no topic '{}'", name->string_view());
  }
  return fail(ErrorCode::unknown_topic, "no such topic");
}

struct PartitionView {
  std::uint32_t partition = 0;
  ShardId shard{0};
  LogView view;
  LogSize size;
};

// What one shard knows about its partitions of the topic. A partition that is being made or deleted is left
// out.
Task<std::vector<PartitionView>> views_here(ShardContext& here, Topic topic) {
  std::vector<PartitionView> views;
  for (std::uint32_t p = 0; p < topic.partitions; ++p) {
    if (!here.owns(topic.group(p))) continue;
    const auto view = here.log.view(topic.group(p));
    const auto size = here.log.size(topic.group(p));
    if (view && size) views.push_back({p, here.reactor.shard(), *view, *size});
  }
  co_return views;
}

flatbuffers::Offset<wire::PartitionState> state_to_wire(flatbuffers::FlatBufferBuilder& builder,
                                                        const Topic& topic, const PartitionView& at) {
  const std::int64_t durable_end = at.view.durable.next_offset.value();
  return wire::CreatePartitionState(builder, at.partition, topic.group(at.partition).value(),
                                    at.shard.value(), at.view.term.value(), at.view.start.offset.value(),
                                    durable_end, durable_end, at.view.end.next_offset.value(), at.size.bytes,
                                    at.size.segments);
}

}  // namespace

Task<void> handle_create_topic(Reply reply, InboundRequest& request) {
  const auto table = verified<wire::CreateTopic>(request.table.bytes());
  if (!table) co_return reply.fail(table.error());
  const wire::CreateTopic& create = **table;
  auto topic = topic_from_wire(text(create.name()), create.partitions(), create.settings());
  if (!topic) co_return reply.fail(topic.error());
  const auto deadline = deadline_of(reply.context(), request, create.deadline_ms());
  const auto id =
      co_await on_catalog(reply.context(), [topic = *std::move(topic), deadline](Catalog& catalog) mutable {
        return catalog.create(std::move(topic), deadline);
      });
  if (!id) co_return reply.fail(id.error());
  const wire::Id wire_id = to_wire(*id);
  reply.send(wire::CreateCreateTopicAnswer(reply.builder(), &wire_id));
}

Task<void> handle_list_topics(Reply reply, InboundRequest& request) {
  const auto table = verified<wire::ListTopics>(request.table.bytes());
  if (!table) co_return reply.fail(table.error());
  const auto& all = reply.context().topics.all();
  auto& builder = reply.builder();
  std::vector<flatbuffers::Offset<wire::TopicDescription>> topics;
  auto at = (*table)->after() == nullptr ? all.begin() : all.upper_bound((*table)->after()->string_view());
  const auto page_full = [&] {
    return topics.size() >= k_topics_page ||
           builder.GetSize() + topics.size() * sizeof(flatbuffers::uoffset_t) >= k_topics_page_size;
  };
  for (; at != all.end() && !page_full(); ++at) topics.push_back(topic_to_wire(builder, at->second));
  reply.send(wire::CreateListTopicsAnswer(builder, builder.CreateVector(topics), at != all.end()));
}

Task<void> handle_describe_topic(Reply reply, InboundRequest& request) {
  ShardContext& context = reply.context();
  const auto table = verified<wire::DescribeTopic>(request.table.bytes());
  if (!table) co_return reply.fail(table.error());
  const auto found = find_topic(context, (*table)->name(), (*table)->topic_id());
  if (!found) co_return reply.fail(found.error());
  const Topic topic = **found;
  std::vector<PartitionView> views;
  const std::uint32_t owners = std::min(topic.partitions, context.reactor.shard_count());
  for (std::uint32_t p = 0; p < owners; ++p) {
    const auto theirs = co_await on_owner(context, topic.group(p),
                                          [topic](ShardContext& there) { return views_here(there, topic); });
    views.insert(views.end(), theirs.begin(), theirs.end());
  }
  std::ranges::sort(views, {}, &PartitionView::partition);
  auto& builder = reply.builder();
  std::vector<flatbuffers::Offset<wire::PartitionState>> states;
  for (const PartitionView& view : views) states.push_back(state_to_wire(builder, topic, view));
  const auto description = topic_to_wire(builder, topic);
  reply.send(wire::CreateDescribeTopicAnswer(builder, description, builder.CreateVector(states)));
}

Task<void> handle_delete_topic(Reply reply, InboundRequest& request) {
  ShardContext& context = reply.context();
  const auto table = verified<wire::DeleteTopic>(request.table.bytes());
  if (!table) co_return reply.fail(table.error());
  const auto topic = find_topic(context, (*table)->name(), (*table)->topic_id());
  if (!topic) co_return reply.fail(topic.error());
  const auto deadline = deadline_of(context, request, (*table)->deadline_ms());
  const auto removed =
      co_await on_catalog(context, [name = (*topic)->name, id = (*topic)->id, deadline](Catalog& catalog) {
        return catalog.remove(name, id, deadline);
      });
  if (!removed) co_return reply.fail(removed.error());
  reply.send(wire::CreateDeleteTopicAnswer(reply.builder()));
}

Task<void> handle_alter_topic(Reply reply, InboundRequest& request) {
  ShardContext& context = reply.context();
  const auto table = verified<wire::AlterTopic>(request.table.bytes());
  if (!table) co_return reply.fail(table.error());
  const auto found = find_topic(context, (*table)->name(), (*table)->topic_id());
  if (!found) co_return reply.fail(found.error());
  const auto deadline = deadline_of(context, request, (*table)->deadline_ms());
  const auto change = [change = (*table)->change()](Topic topic) {
    return changed_topic(std::move(topic), change);
  };
  const auto altered = co_await on_catalog(
      context, [name = (*found)->name, id = (*found)->id, change, deadline](Catalog& catalog) {
        return catalog.alter(name, id, change, deadline);
      });
  if (!altered) co_return reply.fail(altered.error());
  auto& builder = reply.builder();
  reply.send(wire::CreateAlterTopicAnswer(builder, topic_to_wire(builder, *altered)));
}

}  // namespace millrace

// Handlers: what each request does. One function a request type; they answer through the Reply, and may
// suspend. docs/protocol.md says what each promises.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/reactor/task.h"
#include "engine/reactor/wait.h"
#include "engine/wire/table.h"
#include "net/inbound_request.h"
#include "net/reply.h"
#include "net/shard_context.h"

namespace millrace {

using Handler = Task<void> (*)(Reply reply, InboundRequest& request);

// topics.cpp
Task<void> handle_create_topic(Reply reply, InboundRequest& request);
Task<void> handle_list_topics(Reply reply, InboundRequest& request);
Task<void> handle_describe_topic(Reply reply, InboundRequest& request);
Task<void> handle_delete_topic(Reply reply, InboundRequest& request);
Task<void> handle_alter_topic(Reply reply, InboundRequest& request);
// produce.cpp
Task<void> handle_produce(Reply reply, InboundRequest& request);
Task<void> handle_init_producer(Reply reply, InboundRequest& request);
// fetch.cpp
Task<void> handle_fetch(Reply reply, InboundRequest& request);
// offsets.cpp
Task<void> handle_list_offsets(Reply reply, InboundRequest& request);
Task<void> handle_trim(Reply reply, InboundRequest& request);
// status.cpp
Task<void> handle_status(Reply reply, InboundRequest& request);

// The group of a partition that a request names. unknown_topic, or protocol_error where the table lacks it.
[[nodiscard]] Result<GroupId> find_group(const ShardContext& context, const wire::Partition* partition);
// Whether this is a produce that asks for no answer at all, not even an error.
[[nodiscard]] bool wants_no_answer(std::uint8_t type, std::span<const std::byte> table);
// When the request gives up waiting for room in the log: what it says, or the server's default.
[[nodiscard]] MonotonicTime deadline_of(const ShardContext& context, const InboundRequest& request,
                                        std::uint32_t deadline_ms);
// What a log says of a group that is no longer there, as a client knows it: unknown_topic.
[[nodiscard]] Error for_client(Error error);

// Runs `function(ShardContext&)`, a task, on the shard that owns `group`: at once if it is this one, else
// with one hop there and one back. `function` is kept until it has ended.
template <class Function>
auto on_owner(ShardContext& context, GroupId group, Function function)
    -> std::invoke_result_t<Function&, ShardContext&> {
  if (context.owns(group)) co_return co_await function(context);
  ++context.counters.requests_hopped;
  co_return co_await on_shard(
      context.reactor, context.owner(group),
      [&shards = context.shards, function = std::move(function)](Reactor& there) mutable {
        return function(ShardContext::of(shards, there));
      });
}

}  // namespace millrace

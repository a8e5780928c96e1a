// Offsets by position or time, and trim.
#include <algorithm>

#include "net/connection.h"
#include "net/handlers.h"

namespace millrace {
namespace {

// How long a search does not look whether anybody still waits for it.
constexpr Duration k_search_step = std::chrono::milliseconds(100);

Task<Result<ShardLog::OffsetAt>> find_end(ShardContext& there, GroupId group, wire::OffsetSpec spec) {
  CO_TRY(const LogView view, there.log.view(group));
  const Offset offset = spec == wire::OffsetSpec::earliest ? view.start.offset : view.durable.next_offset;
  co_return ShardLog::OffsetAt{.offset = offset};
}

// A batch whose header tells of later records than it has can make a search go through the rest of the log.
Task<Result<ShardLog::OffsetAt>> find_timestamp(ShardContext& context, const ServerConnection& connection,
                                                GroupId group, const wire::ListOffsets& list,
                                                const InboundRequest& request) {
  const std::int64_t timestamp = list.timestamp();
  const MonotonicTime deadline = deadline_of(context, request, list.deadline_ms());
  // A peer that has closed its side alone still waits for the answer; those that have gone do not hold their
  // requests for long.
  const MonotonicTime ending_deadline = request.received + context.options.drain_deadline;
  Offset from{0};
  while (true) {
    const MonotonicTime until = std::min(deadline, context.reactor.now() + k_search_step);
    auto found = co_await on_owner(context, group, [=](ShardContext& there) {
      return there.log.offset_for_timestamp(group, timestamp, from, until);
    });
    if (!found || found->complete) co_return found;
    from = found->offset;
    const MonotonicTime now = context.reactor.now();
    if (connection.broken() || now >= deadline || (connection.ending() && now >= ending_deadline)) {
      co_return fail(ErrorCode::timed_out, "timestamp {} was not found up to offset {}; search by offset",
                     timestamp, from.value());
    }
  }
}

struct Trimmed {
  Result<LogStart> start;
  std::optional<LogView> view;
};

Task<Trimmed> trim(ShardContext& there, GroupId group, Offset before) {
  Trimmed trimmed{co_await there.log.trim(group, before), {}};
  if (const auto view = there.log.view(group)) trimmed.view = *view;
  co_return trimmed;
}

}  // namespace

Task<void> handle_list_offsets(Reply reply, InboundRequest& request) {
  ShardContext& context = reply.context();
  const auto table = verified<wire::ListOffsets>(request.table.bytes());
  if (!table) co_return reply.fail(table.error());
  const auto group = find_group(context, (*table)->of());
  if (!group) co_return reply.fail(group.error());
  const wire::OffsetSpec spec = (*table)->spec();
  if (spec > wire::OffsetSpec::MAX) {
    co_return reply.fail(Error{ErrorCode::invalid_argument,
                               fmt::format("offset spec {}; 0 (earliest), 1 (latest) and 2 (timestamp) exist",
                                           static_cast<unsigned>(spec))});
  }
  Result<ShardLog::OffsetAt> found;
  if (spec == wire::OffsetSpec::timestamp) {
    found = co_await find_timestamp(context, reply.connection(), *group, **table, request);
  } else {
    found = co_await on_owner(context, *group, [group = *group, spec](ShardContext& there) {
      return find_end(there, group, spec);
    });
  }
  if (context.answers.is_full() && !co_await reply.connection().wait_for_room()) co_return;
  if (!found) co_return reply.fail(for_client(found.error()));
  reply.send(wire::CreateListOffsetsAnswer(reply.builder(), found->offset.value(), found->timestamp));
}

Task<void> handle_trim(Reply reply, InboundRequest& request) {
  ShardContext& context = reply.context();
  const auto table = verified<wire::Trim>(request.table.bytes());
  if (!table) co_return reply.fail(table.error());
  const auto group = find_group(context, (*table)->of());
  if (!group) co_return reply.fail(group.error());
  const Offset before{(*table)->before()};
  const auto trimmed = co_await on_owner(
      context, *group, [group = *group, before](ShardContext& there) { return trim(there, group, before); });
  if (!trimmed.start) {
    ErrorDetails details;
    if (trimmed.view && trimmed.start.error().code == ErrorCode::offset_out_of_range) {
      details = {.log_start = trimmed.view->start.offset, .log_end = trimmed.view->durable.next_offset};
    }
    co_return reply.fail(for_client(trimmed.start.error()), details);
  }
  reply.send(wire::CreateTrimAnswer(reply.builder(), trimmed.start->offset.value()));
}

}  // namespace millrace

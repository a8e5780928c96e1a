// Offsets by position or time, and trim.
#include "net/handlers.h"

namespace millrace {
namespace {

Task<Result<ShardLog::OffsetAt>> find_offset(ShardContext& there, GroupId group, wire::OffsetSpec spec,
                                             std::int64_t timestamp) {
  if (spec == wire::OffsetSpec::timestamp)
    co_return co_await there.log.offset_for_timestamp(group, timestamp);
  CO_TRY(const LogView view, there.log.view(group));
  const Offset offset = spec == wire::OffsetSpec::earliest ? view.start.offset : view.durable.next_offset;
  co_return ShardLog::OffsetAt{.offset = offset, .timestamp = -1};
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
  const std::int64_t timestamp = (*table)->timestamp();
  const auto found =
      co_await on_owner(context, *group, [group = *group, spec, timestamp](ShardContext& there) {
        return find_offset(there, group, spec, timestamp);
      });
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

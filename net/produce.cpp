// Produce: one batch into one partition; and ids for those who send several.
#include <limits>

#include "engine/base/record_batch.h"
#include "net/connection.h"
#include "net/handlers.h"

namespace millrace {
namespace {

struct Produce {
  GroupId group;
  AckLevel ack = AckLevel::durable;
  Slice batch;
  std::uint32_t offset_count = 0;
  MonotonicTime deadline = k_never;
};

struct Produced {
  Appended appended;
  Offset log_start;
};

Result<Produce> read_request(ShardContext& context, InboundRequest& request) {
  TRY(const auto verified_table, verified<wire::Produce>(request.table.bytes()));
  const wire::Produce* table = &*verified_table;
  if (table->ack() > wire::Ack::MAX) {
    return fail(ErrorCode::invalid_argument,
                "acknowledgement level {}; 0 (none), 1 (leader) and 2 (durable) exist",
                static_cast<unsigned>(table->ack()));
  }
  const auto ack = static_cast<AckLevel>(table->ack());
  TRY(const GroupId group, find_group(context, table->to()));
  if (request.payload.length == 0) return fail(ErrorCode::corrupt_batch, "a produce without a batch");
  TRY(const BatchHeader header, check_batch(request.payload.bytes()));
  context.counters.produce_records += static_cast<std::uint64_t>(header.record_count);
  context.counters.produce_bytes += request.payload.length;
  const MonotonicTime deadline = deadline_of(context, request, table->deadline_ms());
  // From here on the log has the only reference to the batch.
  return Produce{group, ack, std::move(request.payload), header.offset_count(), deadline};
}

Task<Result<Produced>> append(ShardContext& there, Produce produce) {
  CO_TRY(const Appended appended,
         co_await there.log.append(produce.group, std::move(produce.batch), produce.offset_count, produce.ack,
                                   produce.deadline));
  const auto view = there.log.view(produce.group);
  co_return Produced{appended, view ? view->start.offset : Offset{0}};
}

}  // namespace

bool wants_no_answer(std::uint8_t type, std::span<const std::byte> table) {
  if (type != number(FrameType::produce)) return false;
  const auto produce = verified<wire::Produce>(table);
  return produce && (*produce)->ack() == wire::Ack::none;
}

Task<void> handle_produce(Reply reply, InboundRequest& request) {
  ShardContext& context = reply.context();
  ++context.counters.produce_requests;
  const auto refuse = [&](const Error& error) {
    if (!wants_no_answer(number(request.type), request.table.bytes())) return reply.fail(error);
    ++context.counters.produce_unanswered_failures;
  };
  auto produce = read_request(context, request);
  if (!produce) co_return refuse(produce.error());
  const GroupId group = produce->group;
  const AckLevel ack = produce->ack;
  const auto produced =
      co_await on_owner(context, group, [produce = *std::move(produce)](ShardContext& there) mutable {
        return append(there, std::move(produce));
      });
  if (produced) context.latencies.produce.record(context.reactor.now() - request.received);
  if (ack == AckLevel::none) {
    if (!produced) ++context.counters.produce_unanswered_failures;
    co_return;
  }
  if (context.answers.is_full()) {
    request.share = {};  // the batch is the log's by now
    if (!co_await reply.connection().wait_for_room()) co_return;
  }
  if (!produced) co_return reply.fail(for_client(produced.error()));
  reply.send(wire::CreateProduceAnswer(
      reply.builder(), produced->appended.base_offset.value(), produced->appended.term.value(),
      static_cast<wire::Ack>(produced->appended.level), produced->log_start.value()));
}

// 63 random bits: among a billion producers, two have the same with a probability of 5 %, and it would matter
// only if both wrote into one partition within the time in which it remembers a producer. Nothing has to be
// kept for it.
Task<void> handle_init_producer(Reply reply, InboundRequest& request) {
  if (const auto table = verified<wire::InitProducer>(request.table.bytes()); !table)
    co_return reply.fail(table.error());
  constexpr std::uint64_t k_id_bits = std::numeric_limits<std::int64_t>::max();
  const auto id = static_cast<std::int64_t>(reply.context().reactor.random() & k_id_bits);
  reply.send(wire::CreateInitProducerAnswer(reply.builder(), id));
}

}  // namespace millrace

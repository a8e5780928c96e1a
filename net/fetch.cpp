// Fetch: entries of one partition from an offset on, now or when there are some.
#include <algorithm>

#include "net/background.h"
#include "net/connection.h"
#include "net/handlers.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;

struct Fetch {
  GroupId group;
  Offset offset;
  std::uint64_t min_bytes = 0;
  std::uint64_t max_bytes = 0;
  MonotonicTime deadline;
};

// More than a read gave.
struct Wanted {
  GroupId group;
  Offset from;
  std::uint64_t min_bytes = 0;
  MonotonicTime deadline;
};

// What an owner answers: the entries, or why not, and what there is.
struct Found {
  Result<ReadResult> read;
  std::optional<LogView> view;
};

Result<Fetch> read_request(const ShardContext& context, const InboundRequest& request) {
  constexpr std::uint32_t k_size_default = 1u << 20;
  TRY(const auto table, verified<wire::Fetch>(request.table.bytes()));
  TRY(const GroupId group, find_group(context, table->from()));
  const std::uint32_t max_bytes =
      std::min(table->max_bytes() == 0 ? k_size_default : table->max_bytes(), k_fetch_size_max);
  const auto wait = std::min<Duration>(milliseconds(table->max_wait_ms()), context.options.fetch_wait_max);
  return Fetch{.group = group,
               .offset = Offset{table->offset()},
               .min_bytes = std::min(table->min_bytes(), max_bytes),
               .max_bytes = max_bytes,
               .deadline = request.received + wait};
}

Task<Found> read(ShardContext& there, Fetch fetch, std::uint64_t max_bytes) {
  Found found{co_await there.log.read(fetch.group, fetch.offset, max_bytes, FirstEntry::within_max), {}};
  if (const auto view = there.log.view(fetch.group)) found.view = *view;
  co_return found;
}

// Suspends until the log has what is waited for, or never will, or the server stops.
class ReadableOrStopping {
 public:
  ReadableOrStopping(ShardContext& context, const Wanted& wanted)
      : context_(context), wanted_(wanted), stop_(context.fetch_waits) {}
  ReadableOrStopping(const ReadableOrStopping&) = delete;
  ReadableOrStopping& operator=(const ReadableOrStopping&) = delete;
  ~ReadableOrStopping() {
    if (ticket_ != 0) context_.reactor.unschedule(ticket_);
  }

  bool await_ready() const { return context_.stopping; }
  void await_suspend(std::coroutine_handle<> handle) {
    stop_.await_suspend(handle);
    wait_ = Background(wait_readable(handle));
  }
  // The other of the two is taken back when this object goes.
  Result<void> await_resume() { return std::move(result_); }

 private:
  Task<void> wait_readable(std::coroutine_handle<> handle) {
    result_ =
        co_await context_.log.wait_readable(wanted_.group, wanted_.from, wanted_.min_bytes, wanted_.deadline);
    ticket_ = context_.reactor.schedule(handle);
  }

  ShardContext& context_;
  const Wanted& wanted_;
  Result<void> result_;
  WaitQueue::Waiter stop_;
  Background wait_;
  Ticket ticket_ = 0;
};

// False: the server stops.
Task<Result<bool>> wait(ShardContext& there, Wanted wanted) {
  auto waited = co_await ReadableOrStopping(there, wanted);
  if (!waited) co_return fail(std::move(waited).error());
  co_return !there.stopping;
}

bool enough(const Found& found, const Fetch& fetch, const ShardContext& context) {
  return !found.read || found.read->satisfies(fetch.min_bytes) || context.reactor.now() >= fetch.deadline ||
         context.stopping;
}

// Waits on the owner, a while at a time: that its peer has closed the connection is noticed between. Brings
// the deadline forward when nobody would wait any longer. Errors: nothing more will come.
Task<Result<void>> wait_while_connected(ShardContext& context, const ServerConnection& connection,
                                        Wanted wanted, MonotonicTime& deadline) {
  for (;;) {
    wanted.deadline = std::min(deadline, context.reactor.now() + milliseconds(k_fetch_wait_step_ms));
    CO_TRY(const bool go_on, co_await on_owner(context, wanted.group, [wanted](ShardContext& there) {
             return wait(there, wanted);
           }));
    if (!go_on || connection.ending()) deadline = context.reactor.now();
    if (context.reactor.now() < wanted.deadline || context.reactor.now() >= deadline)
      co_return Result<void>{};
  }
}

// Room for the answer is promised only while it is being made: a thousand fetches that wait hold none. So a
// fetch that has to wait takes a hop of its own for that. Of an entry that is larger than what was asked for,
// the first read tells the size, and the second one has room for it.
Task<std::optional<Found>> find(ShardContext& context, ServerConnection& connection, Fetch fetch) {
  std::uint64_t at_least = 0;
  for (;;) {
    if (context.answers.is_short()) {
      fetch.max_bytes = std::min<std::uint64_t>(fetch.max_bytes, k_fetch_size_short);
      fetch.min_bytes = std::min(fetch.min_bytes, fetch.max_bytes);
    }
    const std::uint64_t max_bytes = std::max(fetch.max_bytes, at_least);
    const std::uint64_t promised = std::max<std::uint64_t>(max_bytes, k_fetch_promise_min);
    if (!co_await connection.promise_answer(promised)) co_return std::nullopt;
    Found found = co_await on_owner(context, fetch.group, [fetch, max_bytes](ShardContext& there) {
      return read(there, fetch, max_bytes);
    });
    connection.release_promise(promised);
    at_least = found.read ? found.read->first_entry_needs : 0;
    if (at_least != 0) continue;
    if (enough(found, fetch, context)) co_return found;
    const Wanted more{.group = fetch.group,
                      .from = found.read->next_offset,
                      .min_bytes = fetch.min_bytes - found.read->bytes,
                      .deadline = fetch.deadline};
    found = Found{};  // nor any memory of the log's
    if (auto waited = co_await wait_while_connected(context, connection, more, fetch.deadline); !waited) {
      // Everybody who waits at the partition hears it now.
      if (!co_await connection.wait_for_room()) co_return std::nullopt;
      co_return Found{fail(std::move(waited).error()), {}};
    }
  }
}

void answer(Reply& reply, const Found& found) {
  ShardContext& context = reply.context();
  if (!found.read) {
    ErrorDetails details;
    if (found.view && found.read.error().code == ErrorCode::offset_out_of_range) {
      details = {.log_start = found.view->start.offset, .log_end = found.view->durable.next_offset};
    }
    return reply.fail(for_client(found.read.error()), details);
  }
  const ReadResult& read = *found.read;
  context.counters.fetch_bytes += read.bytes;
  reply.send(wire::CreateFetchAnswer(reply.builder(), read.next_offset.value(),
                                     read.view.start.offset.value(), read.view.durable.next_offset.value(),
                                     read.view.durable.next_offset.value(), read.view.term.value()),
             read.entries);
}

}  // namespace

Task<void> handle_fetch(Reply reply, InboundRequest& request) {
  ShardContext& context = reply.context();
  ++context.counters.fetch_requests;
  const auto fetch = read_request(context, request);
  if (!fetch) co_return reply.fail(fetch.error());
  // It may wait for long; the memory it came in is not kept for it.
  request.table = {};
  const auto found = co_await find(context, reply.connection(), *fetch);
  if (!found) co_return;
  context.latencies.fetch.record(context.reactor.now() - request.received);
  answer(reply, *found);
}

}  // namespace millrace

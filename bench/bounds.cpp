// What one client gets, and what the server takes, while others are at its bounds: one durable record of 1
// KiB at a time, alone and beside clients that never read, that send a byte a second, that are idle, and
// that are many. While each crowd is there: the server's resident memory, against what a shard may take.
#include <atomic>
#include <thread>
#include <vector>

#include "bench/support/batches.h"
#include "bench/support/files.h"
#include "bench/support/samples.h"
#include "bench/support/server.h"
#include "engine/reactor/wait.h"
#include "engine/wire/protocol_generated.h"
#include "engine/wire/table.h"
#include "net/memory_plan.h"

namespace millrace::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t k_record_size = 1024;
constexpr const char* k_quiet_topic = "quiet";
constexpr const char* k_other_topic = "others";
constexpr std::uint32_t k_partitions = 8;

struct Flags {
  std::uint32_t idle = 10'000;
  std::uint32_t busy = 1'000;
};

// Clients on a thread of their own, from when all are connected until it goes.
class Crowd {
 public:
  using Member = std::function<Task<void>(Reactor&, Socket, const std::atomic<bool>& stop)>;

  Crowd(const Address& server, std::uint32_t count, Member member) {
    thread_ = std::thread([this, server, count, member = std::move(member)] {
      const auto ran = run_uring({}, [&](UringReactor& reactor) -> Task<Result<void>> {
        Gate gate(reactor);
        for (std::uint32_t i = 0; i < count; ++i) {
          CO_TRY(Socket socket, co_await greet(reactor, server));
          gate.spawn(member(reactor, std::move(socket), stop_));
        }
        ready_ = true;
        co_await gate.close();
        co_return Result<void>{};
      });
      result_ = ran ? *ran : std::unexpected(ran.error());
      ready_ = true;
    });
    while (!ready_) std::this_thread::sleep_for(milliseconds(10));
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  ~Crowd() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] Result<void> end() {
    stop_ = true;
    thread_.join();
    return result_;
  }

 private:
  static Task<Result<Socket>> greet(Reactor& reactor, const Address& server) {
    CO_TRY(Socket socket, co_await reactor.connect(server));
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(wire::CreateHello(builder, 1, 1, 0, builder.CreateString("millrace-bench")));
    CO_TRY(Buffer buffer, reactor.buffers().acquire(k_block_size));
    const std::uint32_t size =
        encode_frame(number(FrameType::hello), 1, table_bytes(builder), 0, buffer.bytes());
    CO_TRY_VOID(co_await reactor.send(socket, Slice{buffer, 0, size}));
    CO_TRY(const std::uint64_t got, co_await reactor.receive(socket, Slice{buffer, 0, k_block_size}));
    if (got == 0) co_return fail(ErrorCode::connection_lost, "the server refuses the connection");
    co_return socket;
  }

  std::atomic<bool> stop_{false}, ready_{false};
  Result<void> result_;
  std::thread thread_;
};

// ---- the crowds

Task<void> stay_idle(Reactor& reactor, Socket, const std::atomic<bool>& stop) {
  while (!stop) static_cast<void>(co_await reactor.sleep(milliseconds(200)));
}

Result<Slice> frame_of(Reactor& reactor, FrameType type, const flatbuffers::FlatBufferBuilder& builder,
                       const Slice& payload = {}) {
  const std::uint32_t head = k_preamble_size + builder.GetSize();
  TRY(Buffer buffer, reactor.buffers().acquire(head + payload.length));
  encode_frame(number(type), 1, table_bytes(builder), payload.length, buffer.bytes());
  if (payload.length != 0) std::ranges::copy(payload.bytes(), buffer.bytes().subspan(head).begin());
  return Slice{buffer, 0, head + payload.length};
}

// Asks for a MiB again and again, and takes nothing.
Task<void> never_read(Reactor& reactor, Socket socket, const std::atomic<bool>& stop) {
  flatbuffers::FlatBufferBuilder builder;
  const auto from = wire::CreatePartition(builder, builder.CreateString(k_other_topic));
  builder.Finish(wire::CreateFetch(builder, from, 0, 1, 1u << 20, 0));
  const auto frame = frame_of(reactor, FrameType::fetch, builder);
  for (int i = 0; frame && i < 100; ++i) {
    if (!co_await reactor.send(socket, *frame)) break;
  }
  while (!stop) static_cast<void>(co_await reactor.sleep(milliseconds(50)));
}

Result<Slice> produce_frame(Reactor& reactor, std::uint32_t partition) {
  flatbuffers::FlatBufferBuilder builder;
  const auto to = wire::CreatePartition(builder, builder.CreateString(k_other_topic), nullptr, partition);
  builder.Finish(wire::CreateProduce(builder, to));
  TRY(const Slice batch, batch_of_one(reactor.buffers(), 100));
  return frame_of(reactor, FrameType::produce, builder, batch);
}

Task<void> send_a_byte_a_second(Reactor& reactor, Socket socket, const std::atomic<bool>& stop) {
  const auto frame = produce_frame(reactor, 0);
  if (!frame) co_return;
  for (std::uint32_t at = 0; !stop && at < frame->length; ++at) {
    if (!co_await reactor.send(socket, Slice{frame->buffer, at, 1})) co_return;
    for (int i = 0; i < 20 && !stop; ++i) static_cast<void>(co_await reactor.sleep(milliseconds(50)));
  }
}

// A durable record of 100 bytes each half second.
Task<void> be_busy(Reactor& reactor, Socket socket, const std::atomic<bool>& stop) {
  const auto frame = produce_frame(reactor, static_cast<std::uint32_t>(reactor.random() % k_partitions));
  const auto answer = reactor.buffers().acquire(k_block_size);
  if (!frame || !answer) co_return;
  static_cast<void>(co_await reactor.sleep(milliseconds(reactor.random() % 500)));
  while (!stop) {
    if (!co_await reactor.send(socket, *frame)) co_return;
    if (const auto got = co_await reactor.receive(socket, Slice{*answer, 0, k_block_size}); !got || *got == 0)
      co_return;
    static_cast<void>(co_await reactor.sleep(milliseconds(500)));
  }
}

// ---- the quiet client

Result<Percentiles> measure_quiet(const Address& server, double for_seconds) {
  Samples samples;
  TRY_VOID(with_client(server, [&](Client& client) -> Task<Result<void>> {
    CO_TRY(const Slice batch, batch_of_one(client.reactor().buffers(), k_record_size));
    for (int i = 0; i < 100; ++i) CO_TRY_VOID(co_await client.produce_batch({k_quiet_topic, 0}, batch));
    for (const auto end = after_seconds(for_seconds); Clock::now() < end;) {
      const auto begin = Clock::now();
      CO_TRY_VOID(co_await client.produce_batch({k_quiet_topic, 0}, batch));
      samples.record(Clock::now() - begin);
    }
    co_return Result<void>{};
  }));
  return percentiles_of(std::move(samples));
}

struct Kind {
  const char* name;
  std::uint32_t connections;
  Crowd::Member member;
};

Result<void> round(const Settings& settings, const Server& server, const std::vector<Kind>& kinds,
                   Report& report) {
  report.begin_round();
  TRY(const Percentiles alone, measure_quiet(server.address(), settings.seconds));
  add_percentiles(report, "alone", alone);
  for (const Kind& kind : kinds) {
    Crowd crowd(server.address(), kind.connections, kind.member);
    const auto beside = measure_quiet(server.address(), settings.seconds);
    report.add(std::string(kind.name) + ", memory", "MiB",
               static_cast<double>(server.resident_bytes()) / 1024 / 1024);
    TRY_VOID(crowd.end());
    if (!beside) return std::unexpected(beside.error());
    add_percentiles(report, kind.name, *beside);
  }
  report.end_round();
  return {};
}

Result<void> measure(const Settings& settings, const Flags& flags, Report& report) {
  constexpr double k_times_target = 2;
  TRY_VOID(stay_on(settings.client_cpu));
  TRY(const ScratchFolder scratch, ScratchFolder::make(settings.folder));
  const std::uint32_t connections = std::max(flags.idle, flags.busy) + 100;
  TRY(Server server,
      Server::start(settings, {.data = scratch.path("data"),
                               .flags = {"--shards", "1", "--connections",
                                         std::to_string(std::max(connections, k_connections_max))},
                               .cpu = settings.server_cpu}));
  const auto mib = [&] { return static_cast<double>(server.resident_bytes()) / 1024 / 1024; };
  const double alone = mib();
  TRY_VOID(with_client(server.address(), [&](Client& client) -> Task<Result<void>> {
    CO_TRY_VOID(co_await client.create_topic(
        {.name = k_quiet_topic, .retention_bytes = k_topic_retention, .id = {}}));
    CO_TRY_VOID(co_await client.create_topic(
        {.name = k_other_topic, .partitions = k_partitions, .retention_bytes = k_topic_retention, .id = {}}));
    CO_TRY(const Slice batch, batch_of_one(client.reactor().buffers(), 1u << 20));
    for (int i = 0; i < 16; ++i) CO_TRY_VOID(co_await client.produce_batch({k_other_topic, 0}, batch));
    co_return Result<void>{};
  }));
  const std::vector<Kind> kinds{
      {"beside 16 that never read", 16, never_read},
      {"beside 200 that send a byte a second", 200, send_a_byte_a_second},
      {"beside the idle ones", flags.idle, stay_idle},
      {"beside the busy ones", flags.busy, be_busy},
  };
  for (std::uint32_t i = 0; i < settings.rounds; ++i) TRY_VOID(round(settings, server, kinds, report));
  for (const Kind& kind : kinds) {
    const double times = report.median_of([&](const Report::Round& round) {
      return round.at(std::string(kind.name) + ", p99") / round.at("alone, p99");
    });
    report.target(std::string(kind.name) + ", p99", "x what it was", times, Bound::at_most, k_times_target);
    const double memory = report.median_of(
        [&](const Report::Round& round) { return round.at(std::string(kind.name) + ", memory"); });
    report.target(std::string(kind.name) + ", memory", "MiB", memory, Bound::at_most,
                  static_cast<double>(k_shard_memory_max) / 1024 / 1024);
  }
  report.remark(
      fmt::format("the server's memory: {:.1f} MiB at the start, {:.1f} MiB at the end", alone, mib()));
  return server.stop();
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace::bench;
  Flags flags;
  const Program program{
      .name = "bounds",
      .what = "A quiet client's latency beside clients that are at the server's bounds",
      .example = "--folder /var/tmp --rounds 3 --json bounds.json",
      .flags = {
          {.name = "--idle", .value = &flags.idle, .what = "Idle connections"},
          {.name = "--busy", .value = &flags.busy, .what = "Connections that send two records a second"}}};
  return run_program(program, argc, argv, [&](const Settings& settings, Report& report) {
    return measure(settings, flags, report);
  });
}

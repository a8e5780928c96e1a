// millrace serve
#include <filesystem>
#include <malloc.h>
#include <memory>

#include "engine/base/limits.h"
#include "engine/base/units.h"
#include "engine/base/uuid.h"
#include "engine/reactor/shard_threads.h"
#include "net/client/client.h"
#include "net/memory_plan.h"
#include "net/node.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/log_sink.h"
#include "tools/start_needs.h"
#include "tools/terminal.h"

namespace millrace::tools {
namespace {

// Below a second a connection would be closed between two requests of a client that is merely slow.
constexpr DurationRange k_idle_timeouts{.least = std::chrono::seconds(1)};
// Each look goes through every partition of the shard.
constexpr DurationRange k_retention_intervals{.least = std::chrono::milliseconds(100),
                                              .most = std::chrono::hours(24)};
// A stop writes at most what waits in memory.
constexpr NumberRange k_ballast_sizes{.most = 16_GiB};

// A second without work is no short wait any more.
constexpr DurationRange k_busy_polls{.most = std::chrono::seconds(1)};
// As long as a device takes to write and sync, or a client to send its next request: a server that is used
// does not sleep between the two (docs/decisions/0010).
constexpr Duration k_busy_poll_default = std::chrono::microseconds(200);

struct ServeFlags {
  NodeSetup node;
  HostPort listen = server_default();
  ShardsOptions shards{.count = shards_default(), .ring = {.busy_poll = k_busy_poll_default}, .log = {}};
  LogLevel log_level = LogLevel::warning;
  bool no_pin = false;
};

// What a client on this machine needs to reach a server that listens there; nothing where it looks by itself.
std::string server_flag_for(const Address& listening) {
  Address server = listening;
  if (listening.host == "0.0.0.0") server.host = "127.0.0.1";
  if (listening.host == "::") server.host = "::1";
  return server == ClientOptions{}.server ? "" : fmt::format(" -s {}", to_string(server));
}

// The first line names folder and addresses (scripts wait for it), the others what to try next.
void say_hello(const ServeFlags& flags, const NodeStarted& started) {
  const std::uint32_t shards = flags.shards.count;
  const std::string server = server_flag_for(started.address);
  write_output(
      fmt::format("millrace {}: data {}, listening on {}, {} shard{}\n"
                  "Try:  echo hello | millrace produce greetings{}\n"
                  "      millrace consume greetings -e{}\n",
                  MILLRACE_VERSION, flags.node.storage.folder, to_string(started.address), shards,
                  shards == 1 ? "" : "s", server, server));
}

int report_end(const Error& error) {
  report("serve", error);
  return serve_exit_code_of(error.code);
}

// glibc's heap of a thread grows page by page, each time with a system call that waits for every page fault
// which the process has under way, and one of a huge page may take milliseconds. With room from the beginning
// (addresses, not memory) it need not grow. The second setting stands for what glibc finds out by itself
// without the first.
void give_heaps_room() {
  ::mallopt(M_TOP_PAD, 32 << 20);
  ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
}

int serve(ServeFlags& flags) {
  give_heaps_room();
  const auto listen = resolve(flags.listen);
  if (!listen) return report_end(listen.error());
  flags.node.listen = *listen;
  flags.node.storage.folder = std::filesystem::absolute(flags.node.storage.folder).lexically_normal();
  flags.node.server.server = "millrace " MILLRACE_VERSION;
  flags.node.started = [&flags](const NodeStarted& started) { say_hello(flags, started); };
  flags.shards.pin = !flags.no_pin;
  flags.shards.ring.signals = true;
  flags.shards.log = make_log_sink(flags.log_level);
  if (auto planned = plan_memory(flags.shards.buffers, flags.node.server, flags.node.log, flags.shards.count);
      !planned) {
    report("serve", planned.error());
    return k_exit_usage;
  }
  Node node(flags.node, flags.shards.count);
  Result<void> result;
  const auto threads = ShardThreads::start(flags.shards, [&](UringReactor& reactor) -> Task<void> {
    auto ended = co_await run_node_shard(reactor, node);
    if (reactor.shard() == ShardId{0}) result = std::move(ended);
  });
  if (!threads) return report_end(threads.error());
  (*threads)->join();
  if (result) return k_exit_ok;
  Error& error = result.error();
  if (error.code == ErrorCode::corruption)
    error.message +=
        fmt::format("\nEvery damage is named by: millrace log verify {}", flags.node.storage.folder);
  return report_end(error);
}

void add_storage_flags(CLI::App& command, ServeFlags& flags) {
  add_folder(command, "--data", flags.node.storage.folder, "The data folder; made if it is not there")
      ->required()
      ->type_name("DIR");
  add_parsed(
      command, "--cluster", flags.node.storage.cluster, &parse_uuid<ClusterId>,
      "The cluster that the folder must belong to; a new folder gets it. Without it: whatever it belongs to",
      "UUID");
  add_journal_file_bytes(command, flags.node.storage.journal_file_size);
  add_size(command, "--ballast-bytes", flags.node.storage.ballast_size,
           "Space given up when the disk is full, so that a stop still works; 0: none", k_ballast_sizes);
  add_size(command, "--cache-bytes", flags.node.log.cache_bytes,
           "Recent records kept in memory for readers, a shard");
  add_size(command, "--unplaced-bytes", flags.node.log.unplaced_bytes_max,
           "Records that wait for the disk, beyond the cache, a shard; then producers wait");
  add_duration(command, "--retention-interval", flags.node.log.retention_interval,
               "How often old segments are looked for, 100ms to 1d", k_retention_intervals);
}

void add_server_flags(CLI::App& command, ServeFlags& flags) {
  add_host_port(command, "--listen", flags.listen, "Where to listen; port 0 takes a free one");
  add_shards(command, flags.shards.count);
  add_duration(command, "--busy-poll", flags.shards.ring.busy_poll,
               "How long a shard looks for more to do before it sleeps, as long as nothing else wants its "
               "processor; 0: never; 1s at most",
               k_busy_polls);
  command.add_flag("--no-pin", flags.no_pin, "Let the system move shards between processors");
  add_size(command, "--buffer-bytes", flags.shards.buffers.bytes_max,
           "Memory for all that a shard holds: connections, requests, answers, recent records, its own "
           "writes");
  add_number(command, "--connections", flags.node.server.connections_max, "Connections at a time, a shard",
             {.least = 1, .most = 1u << 20});
  add_duration(command, "--idle-timeout", flags.node.server.idle_timeout,
               "Close connections that say nothing for so long, at least 1s", k_idle_timeouts);
  add_choice<LogLevel>(command, "--log-level", flags.log_level,
                       {{"debug", LogLevel::debug},
                        {"info", LogLevel::info},
                        {"warning", LogLevel::warning},
                        {"error", LogLevel::error}},
                       "Lines of this level and above go to standard error");
}

}  // namespace

void add_serve(CLI::App& program, Run& run) {
  CLI::App& command =
      *program.add_subcommand("serve", "Run a server on a data folder, until SIGTERM or SIGINT");
  const auto flags = std::make_shared<ServeFlags>();
  add_storage_flags(command, *flags);
  add_server_flags(command, *flags);
  command.footer(
      "The first line on standard output, when clients are served, names folder, address and shards.\n"
      "Exit status 5: the device failed a sync; look at it before the next start.\n\n"
      "Example:\n  millrace serve --data /var/lib/millrace --listen 127.0.0.1:7420 --shards 2");
  command.callback([&run, flags] { run = [flags] { return serve(*flags); }; });
}

}  // namespace millrace::tools

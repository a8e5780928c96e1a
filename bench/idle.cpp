// What a server costs that nobody uses, with default settings: processor time and memory, alone and with many
// idle connections.
#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <thread>

#include "bench/support/files.h"
#include "bench/support/samples.h"
#include "bench/support/server.h"

namespace millrace::bench {
namespace {

constexpr double k_cpu_percent_max = 1;
constexpr double k_resident_mib_max = 100;
constexpr double k_connection_kib_max = 20;
// The kernel counts processor time in hundredths of a second: 0.2 % of this.
constexpr double k_seconds_min = 5;

struct Footprint {
  double cpu_percent = 0;  // of one processor
  double resident = 0;     // bytes
};

Result<Footprint> footprint(const Settings& settings, const Server& server) {
  TRY_VOID(server.wait_for_rest());
  const double before = server.cpu_seconds();
  const auto begin = Clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(std::max(settings.seconds, k_seconds_min)));
  const double used = server.cpu_seconds() - before;
  return Footprint{used / seconds_since(begin) * 100, static_cast<double>(server.resident_bytes())};
}

// Clients with a connection that has said hello and asks nothing.
Result<Footprint> footprint_with(const Settings& settings, const Server& server, std::uint32_t connections) {
  ShardsOptions options;
  TRY(Result<Footprint> measured, run_uring(options, [&](UringReactor& reactor) -> Task<Result<Footprint>> {
        CO_TRY(const Clients clients, co_await connect_clients(reactor, server.address(), connections));
        // The reactor need not run: nothing arrives.
        co_return footprint(settings, server);
      }));
  return measured;
}

Result<void> round(const Settings& settings, const std::string& data, std::uint32_t connections,
                   Report& report) {
  report.begin_round();
  TRY(Server server, Server::start(settings, ServerSetup{.data = data}));
  TRY(const Footprint alone, footprint(settings, server));
  report.add("idle, processor", "% of one", alone.cpu_percent);
  report.add("idle, resident", "MiB", alone.resident / 1024 / 1024);
  TRY(const Footprint connected, footprint_with(settings, server, connections));
  report.add("with idle connections, processor", "% of one", connected.cpu_percent);
  report.add("an idle connection, resident", "KiB",
             (connected.resident - alone.resident) / 1024 / connections);
  report.end_round();
  return server.stop();
}

void add_targets(std::uint32_t connections, Report& report) {
  const auto at_most = [&](const std::string& what, const std::string& unit, const char* figure,
                           double limit) {
    report.target(what, unit, report.median_of(figure), Bound::at_most, limit);
  };
  at_most("an idle server", "% of one processor", "idle, processor", k_cpu_percent_max);
  at_most("an idle server", "MiB resident", "idle, resident", k_resident_mib_max);
  at_most(fmt::format("each of {} idle connections", connections), "KiB resident",
          "an idle connection, resident", k_connection_kib_max);
  at_most(fmt::format("a server with {} idle connections", connections), "% of one processor",
          "with idle connections, processor", k_cpu_percent_max);
}

Result<void> measure(const Settings& settings, std::uint32_t connections, Report& report) {
  TRY_VOID(stay_on(settings.client_cpu));
  for (std::uint32_t i = 0; i < settings.rounds; ++i) {
    TRY(const ScratchFolder scratch, ScratchFolder::make(settings.folder));
    TRY_VOID(round(settings, scratch.path("data"), connections, report));
  }
  add_targets(connections, report);
  return {};
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace::bench;
  std::uint32_t connections = 1000;
  const Program program{
      .name = "idle",
      .what = "Processor time and memory of a server that nobody uses, and of idle connections",
      .example = "--folder /var/tmp --seconds 20 --json idle.json",
      .flags = {{.name = "--connections",
                 .value = &connections,
                 .what = "Idle connections",
                 .least = 1,
                 .most = 4000}}};
  return run_program(program, argc, argv, [&](const Settings& settings, Report& report) {
    return measure(settings, connections, report);
  });
}

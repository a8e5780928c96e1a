// millrace status
#include <memory>

#include "engine/base/uuid.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/terminal.h"
#include "tools/with_client.h"

namespace millrace::tools {
namespace {

struct StatusFlags {
  HostPort server = server_default();
  OutputFormat format = OutputFormat::table;
};

double microseconds(Duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

Json json_of(const ServerStatus& status, const Address& server) {
  Json counters = Json::array();
  for (const CounterValue& counter : status.counters)
    counters.push_back({{"counter", counter.name}, {"value", counter.value}});
  Json latencies = Json::array();
  for (const LatencyValues& latency : status.latencies) {
    latencies.push_back({{"latency", latency.name},
                         {"count", latency.count},
                         {"p50_us", microseconds(latency.p50)},
                         {"p90_us", microseconds(latency.p90)},
                         {"p99_us", microseconds(latency.p99)},
                         {"p999_us", microseconds(latency.p999)},
                         {"max_us", microseconds(latency.max)}});
  }
  return {{"server", status.server},
          {"address", to_string(server)},
          {"cluster", to_string(status.cluster)},
          {"node", status.node.value()},
          {"shards", status.shards},
          {"data", status.data},
          {"uptime_ms", std::chrono::duration_cast<std::chrono::milliseconds>(status.uptime).count()},
          {"counters", counters},
          {"latencies", latencies}};
}

Task<int> show(const StatusFlags& flags, Client& client) {
  const auto status = co_await client.status();
  if (!status) co_return report("status", status.error());
  const Json json = json_of(*status, client.options().server);
  if (flags.format == OutputFormat::json) {
    write_output(json_text(json));
  } else {
    write_output(list_of(json) + "\n" + table_of(json["counters"]) + "\n" + table_of(json["latencies"]));
  }
  co_return k_exit_ok;
}

}  // namespace

void add_status(CLI::App& program, Run& run) {
  CLI::App& command = *program.add_subcommand("status", "Show a server's counters and latencies");
  const auto flags = std::make_shared<StatusFlags>();
  add_server(command, flags->server);
  add_output_format(command, flags->format);
  command.footer("Exit status 3: no server answers there.\n\nExample:\n  millrace status --format json");
  command.callback([&run, flags] {
    run = [flags] {
      return with_client("status", flags->server,
                         [&](UringReactor&, Client& client) { return show(*flags, client); });
    };
  });
}

}  // namespace millrace::tools

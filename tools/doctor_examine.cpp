// Looking at kernel, processors and limits.
#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <optional>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "engine/base/units.h"
#include "engine/reactor/shard_threads.h"
#include "tools/doctor.h"
#include "tools/start_needs.h"

namespace millrace::tools {
namespace {

// All the connections that a shard takes by default, and the segment files of a topic as large as any.
constexpr std::uint64_t k_files_wanted_of_shard = k_connections_max + k_partitions_max;

Finding kernel() {
  utsname system{};
  ::uname(&system);
  return {.what = "kernel", .value = fmt::format("{} {}", system.sysname, system.release), .meaning = {}};
}

Finding usable_processors() {
  const std::uint32_t count = processors();
  Finding finding{.what = "processors",
                  .value = fmt::format("{} may be used", count),
                  .meaning = {},
                  .measured = {{"count", count}}};
  if (count == 1) {
    finding.verdict = Verdict::slower;
    finding.meaning =
        "Client, server and the kernel's work share one; figures of a benchmark here say little.";
  }
  return finding;
}

// Of virtual machines whose kernel decides itself whether an idle processor polls before it sleeps (Linux,
// Documentation/virt/guest-halt-polling.rst).
std::optional<Finding> idle_processors() {
  std::string governor;
  std::ifstream("/sys/devices/system/cpu/cpuidle/current_governor") >> governor;
  std::uint64_t poll_ns = 0;
  if (governor != "haltpoll" ||
      !(std::ifstream("/sys/module/haltpoll/parameters/guest_halt_poll_ns") >> poll_ns))
    return std::nullopt;
  Finding finding{.what = "idle processors",
                  .value = fmt::format("poll for {} us before they sleep", poll_ns / 1000),
                  .meaning = {},
                  .measured = {{"guest_halt_poll_ns", poll_ns}}};
  if (poll_ns == 0) {
    finding.verdict = Verdict::slower;
    finding.value = "sleep at once";
    finding.meaning =
        "Waking one takes 10 to 30 us on a virtual machine, and a durable record waits for several. Where "
        "latency matters more than the host's processors: echo 500000 > "
        "/sys/module/haltpoll/parameters/guest_halt_poll_ns";
  }
  return finding;
}

// The soft limit of files is raised to the hard one by every program here, so that one counts.
Finding open_files(std::uint32_t shards) {
  const std::uint64_t wanted = k_files_wanted_of_shard * shards;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const bool unlimited = limit.rlim_max == RLIM_INFINITY;
  Finding finding{.what = "open files",
                  .value = unlimited ? "unlimited" : std::to_string(limit.rlim_max),
                  .meaning = {},
                  .measured = {{"limit", unlimited ? Json() : Json(limit.rlim_max)}, {"wanted", wanted}}};
  if (!unlimited && limit.rlim_max < wanted) {
    finding.verdict = Verdict::slower;
    finding.meaning = fmt::format(
        "Connections and segment files count against it, up to some {0} of {1} shard{2}. Raise the hard "
        "limit: ulimit -Hn {0}, LimitNOFILE={0} (systemd), --ulimit nofile={0} (docker).",
        wanted, shards, shards == 1 ? "" : "s");
  }
  return finding;
}

// One ring is like the other.
Finding uring(const Result<std::vector<UringFeatures>>& shards) {
  Finding finding{.what = "io_uring", .value = {}, .meaning = {}};
  if (!shards) {
    finding.verdict = Verdict::bad;
    finding.value = shards.error().message;
    finding.meaning = "Everything here goes through io_uring; the server does not start without it.";
    return finding;
  }
  const UringFeatures& features = shards->front();
  struct Feature {
    const char* name;
    bool there;
  };
  std::string lacking;
  for (const auto& [name, there] : {Feature{"deferred completions", features.defer_taskrun},
                                    {"registered ring", features.registered_ring},
                                    {"registered files", features.registered_files},
                                    {"ring messages", features.msg_ring}}) {
    finding.measured[name] = there;
    if (!there) lacking += fmt::format("{}{}", lacking.empty() ? "" : ", ", name);
  }
  finding.value = fmt::format("available, rings of {} operations", features.entries);
  if (!lacking.empty()) {
    finding.verdict = Verdict::slower;
    finding.meaning = fmt::format(
        "This kernel lacks: {}. Each costs a few percent of speed; Linux 6.1 has all of them.", lacking);
  }
  return finding;
}

// Of every shard, as the server makes them: all at once, because what may be locked is one limit for all.
Result<std::vector<UringFeatures>> probe_shards(std::uint32_t shards) {
  std::vector<UringFeatures> features(shards);
  const auto note = [&](UringReactor& reactor) -> Task<void> {
    features[reactor.shard().value()] = reactor.features();
    co_return;
  };
  TRY(const auto threads, ShardThreads::start({.count = shards, .pin = false, .ring = {}, .log = {}}, note));
  threads->join();
  return features;
}

// Rings count, too, and so does what the user's other processes have locked.
constexpr std::uint64_t k_locked_beside = 8_MiB;

Finding registered_memory(const std::vector<UringFeatures>& shards) {
  const auto& least = *std::ranges::min_element(shards, {}, &UringFeatures::registered_bytes);
  const std::uint64_t a_shard = UringOptions{}.registered_bytes;
  const std::uint64_t wanted = a_shard * shards.size();
  std::uint64_t bytes = 0;
  for (const UringFeatures& each : shards) bytes += each.registered_bytes;
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  const bool unlimited = limit.rlim_cur == RLIM_INFINITY;
  Finding finding{.what = "registered memory",
                  .value = fmt::format("{} for {} shard{}", format_size(bytes), shards.size(),
                                       shards.size() == 1 ? "" : "s"),
                  .meaning = {},
                  .measured = {{"bytes", bytes},
                               {"wanted_bytes", wanted},
                               {"limit_bytes", unlimited ? Json() : Json(limit.rlim_cur)}}};
  if (bytes < wanted) {
    finding.verdict = Verdict::slower;
    finding.value += fmt::format(" of {}: {}", format_size(wanted), least.fixed_buffers_refused);
    const std::uint64_t allow = wanted + k_locked_beside;
    finding.meaning = fmt::format(
        "The kernel pins the pages of every direct write anew: a few microseconds each. Allow {} a shard and "
        "{} beside, here {} of locked memory: ulimit -l {}, LimitMEMLOCK={} (systemd), --ulimit memlock={} "
        "(docker).",
        format_size(a_shard), format_size(k_locked_beside), format_size(allow), allow >> 10, allow, allow);
  }
  return finding;
}

}  // namespace

std::vector<Finding> examine(const PlannedServer& server) {
  std::vector<Finding> findings{kernel(), usable_processors()};
  if (auto idle = idle_processors()) findings.push_back(*std::move(idle));
  const auto features = probe_shards(server.shards);
  findings.push_back(uring(features));
  if (features) findings.push_back(registered_memory(*features));
  findings.push_back(open_files(server.shards));
  const std::vector<Finding> disk =
      examine_disk(server, features ? DiskWrites::measure : DiskWrites::leave_out);
  findings.insert(findings.end(), disk.begin(), disk.end());
  return findings;
}

}  // namespace millrace::tools

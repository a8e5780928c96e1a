// Looking at kernel, processors and limits.
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "engine/base/units.h"
#include "engine/reactor/shard_threads.h"
#include "tools/doctor.h"

namespace millrace::tools {
namespace {

// The default bound of connections, and as many files again.
constexpr std::uint64_t k_files_wanted = 8192;

Finding kernel() {
  utsname system{};
  ::uname(&system);
  return {.what = "kernel", .value = fmt::format("{} {}", system.sysname, system.release), .meaning = {}};
}

Finding processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int count = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
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

// The soft limit of files is raised to the hard one by every program here, so that one counts.
Finding open_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const bool unlimited = limit.rlim_max == RLIM_INFINITY;
  Finding finding{.what = "open files",
                  .value = unlimited ? "unlimited" : std::to_string(limit.rlim_max),
                  .meaning = {},
                  .measured = {{"limit", unlimited ? Json() : Json(limit.rlim_max)}}};
  if (!unlimited && limit.rlim_max < k_files_wanted) {
    finding.verdict = Verdict::slower;
    finding.meaning =
        "Connections and segment files count against it. Raise the hard limit: ulimit -Hn 65536, "
        "LimitNOFILE= (systemd), --ulimit nofile=65536 (docker).";
  }
  return finding;
}

Finding uring(const Result<UringFeatures>& features) {
  Finding finding{.what = "io_uring", .value = {}, .meaning = {}};
  if (!features) {
    finding.verdict = Verdict::bad;
    finding.value = features.error().message;
    finding.meaning = "Everything here goes through io_uring; the server does not start without it.";
    return finding;
  }
  struct Feature {
    const char* name;
    bool there;
  };
  std::string lacking;
  for (const auto& [name, there] : {Feature{"deferred completions", features->defer_taskrun},
                                    {"registered ring", features->registered_ring},
                                    {"registered files", features->registered_files},
                                    {"ring messages", features->msg_ring}}) {
    finding.measured[name] = there;
    if (!there) lacking += fmt::format("{}{}", lacking.empty() ? "" : ", ", name);
  }
  finding.value = fmt::format("available, rings of {} operations", features->entries);
  if (!lacking.empty()) {
    finding.verdict = Verdict::slower;
    finding.meaning = fmt::format(
        "This kernel lacks: {}. Each costs a few percent of speed; Linux 6.1 has all of them.", lacking);
  }
  return finding;
}

Finding registered_memory(const UringFeatures& features) {
  const std::uint64_t wanted = UringOptions{}.registered_bytes;
  Finding finding{.what = "registered memory",
                  .value = fmt::format("{} a shard", format_size(features.registered_bytes)),
                  .meaning = {},
                  .measured = {{"bytes", features.registered_bytes}}};
  if (features.registered_bytes < wanted) {
    finding.verdict = Verdict::slower;
    finding.value = fmt::format("{} of {}: {}", format_size(features.registered_bytes), format_size(wanted),
                                features.fixed_buffers_refused);
    finding.meaning = fmt::format(
        "The kernel pins the pages of every direct write anew: a few microseconds each. Allow {} a shard: "
        "ulimit -l, LimitMEMLOCK= (systemd), --ulimit memlock=-1 (docker).",
        format_size(wanted));
  }
  return finding;
}

}  // namespace

std::vector<Finding> examine(const std::string& data) {
  std::vector<Finding> findings{kernel(), processors()};
  const auto features = probe_uring({});
  findings.push_back(uring(features));
  if (features) findings.push_back(registered_memory(*features));
  findings.push_back(open_files());
  const std::vector<Finding> disk =
      examine_disk(data, features ? DiskWrites::measure : DiskWrites::leave_out);
  findings.insert(findings.end(), disk.begin(), disk.end());
  return findings;
}

}  // namespace millrace::tools

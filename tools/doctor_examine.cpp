// Looking at the machine.
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "engine/base/histogram.h"
#include "engine/base/limits.h"
#include "engine/base/units.h"
#include "engine/reactor/shard_threads.h"
#include "tools/doctor.h"

namespace millrace::tools {
namespace {

constexpr std::uint32_t k_writes = 300;
constexpr std::uint64_t k_file_size = 1u << 20;
// The journal's files, the ballast and a first segment, with some air.
constexpr std::uint64_t k_free_space_wanted = 2ull << 30;
constexpr std::uint64_t k_memlock_wanted = 8u << 20;

struct FileSystemName {
  long magic;
  const char* name;
};
// statfs(2).
constexpr std::array k_file_systems = std::to_array<FileSystemName>({{0xef53, "ext4"},
                                                                     {0x58465342, "xfs"},
                                                                     {0x9123683e, "btrfs"},
                                                                     {0x01021994, "tmpfs"},
                                                                     {0x794c7630, "overlayfs"},
                                                                     {0x2fc12fc1, "zfs"},
                                                                     {0x6969, "nfs"},
                                                                     {0x65735546, "fuse"},
                                                                     {0xf2f52010, "f2fs"}});

std::string file_system_name(long magic) {
  for (const auto& known : k_file_systems) {
    if (known.magic == magic) return known.name;
  }
  return fmt::format("unknown (0x{:x})", magic);
}

double microseconds(Duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

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

Finding limit_of(const char* what, int resource, std::uint64_t wanted, const std::string& meaning) {
  rlimit limit{};
  ::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
  const bool unlimited = limit.rlim_cur == RLIM_INFINITY;
  const bool bytes = resource == RLIMIT_MEMLOCK;
  Finding finding{.what = what,
                  .value = unlimited ? "unlimited"
                           : bytes   ? format_size(limit.rlim_cur)
                                     : std::to_string(limit.rlim_cur),
                  .meaning = {},
                  .measured = {{"limit", unlimited ? Json() : Json(limit.rlim_cur)}}};
  if (!unlimited && limit.rlim_cur < wanted) {
    finding.verdict = Verdict::slower;
    finding.meaning = meaning;
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
  Finding finding{.what = "registered memory", .value = "available", .meaning = {}};
  if (!features.fixed_buffers) {
    finding.verdict = Verdict::slower;
    finding.value = features.fixed_buffers_refused;
    finding.meaning =
        "The kernel pins the pages of every direct write anew: a few microseconds each. Raise ulimit -l to 8 "
        "MiB a shard.";
  }
  return finding;
}

std::vector<Finding> file_system(const std::string& folder) {
  struct statfs info{};
  if (::statfs(folder.c_str(), &info) != 0) {
    return {{.what = "data folder",
             .verdict = Verdict::bad,
             .value = fmt::format("'{}': {}", folder, std::strerror(errno)),
             .meaning = "Name a folder that exists with --data."}};
  }
  Finding type{
      .what = "file system", .value = file_system_name(static_cast<long>(info.f_type)), .meaning = {}};
  type.measured["type"] = type.value;
  if (type.value == "tmpfs") {
    type.verdict = Verdict::slower;
    type.meaning = "This is memory: everything is gone with the next boot. Good for trying things out only.";
  } else if (type.value == "nfs" || type.value == "fuse") {
    type.verdict = Verdict::slower;
    type.meaning =
        "What a sync means here is up to another machine or program; acknowledged records may be lost with "
        "it.";
  }
  const auto free = static_cast<std::uint64_t>(info.f_bavail) * static_cast<std::uint64_t>(info.f_bsize);
  Finding space{
      .what = "free space", .value = format_size(free), .meaning = {}, .measured = {{"bytes", free}}};
  if (free < k_free_space_wanted) {
    space.verdict = Verdict::slower;
    space.meaning =
        "The journal takes 320 MiB a shard, and records come on top; appends are refused when the disk is "
        "full.";
  }
  return {type, space};
}

struct SyncedWrites {
  bool direct = false;
  bool synced_write = false;
  Histogram latency;
};

// Durable writes of one block each, one after the other, into a file that has been filled: what a small
// append costs at least.
Task<Result<SyncedWrites>> write_durably(UringReactor& reactor, std::string path) {
  CO_TRY(const File file, co_await reactor.open(path, {.mode = OpenMode::create, .direct = true}));
  CO_TRY(const Buffer buffer, reactor.buffers().acquire(k_file_size));
  std::memset(buffer.data(), 0, k_file_size);
  CO_TRY_VOID(
      co_await reactor.write(file, Slice{buffer, 0, static_cast<std::uint32_t>(k_file_size)}, 0, Sync::data));
  SyncedWrites result{.direct = file.direct(), .latency = {}};
  for (std::uint32_t i = 0; i < k_writes; ++i) {
    const std::uint64_t position = std::uint64_t{i} * k_block_size % k_file_size;
    // now() is read once a turn, and a write begins in the turn that the last one ended in.
    const MonotonicTime begun = reactor.now();
    CO_TRY_VOID(co_await reactor.write(file, Slice{buffer, 0, k_block_size}, position, Sync::data));
    result.latency.record(reactor.now() - begun);
  }
  result.synced_write = file.state()->synced_write;
  co_return result;
}

Task<Result<SyncedWrites>> measure_writes(UringReactor& reactor, const std::string& folder) {
  const std::string path = fmt::format("{}/millrace-doctor-{:016x}", folder, reactor.random());
  auto result = co_await write_durably(reactor, path);
  const auto removed = co_await reactor.remove_file(path);
  if (result && !removed) co_return fail(removed.error());
  co_return result;
}

std::vector<Finding> disk(const std::string& folder) {
  auto measured = run_uring({}, [&](UringReactor& reactor) { return measure_writes(reactor, folder); });
  Result<SyncedWrites> result = measured ? std::move(*measured) : fail(measured.error());
  if (!result) {
    return {{.what = "durable writes",
             .verdict = Verdict::bad,
             .value = result.error().message,
             .meaning = "The server must be able to write here."}};
  }
  Finding direct{.what = "direct I/O", .value = result->direct ? "available" : "refused", .meaning = {}};
  direct.measured["available"] = result->direct;
  if (!result->direct) {
    direct.verdict = Verdict::slower;
    direct.meaning =
        "Writes go through the page cache and need a separate sync: about twice the time of a durable "
        "append.";
  }
  Finding sync{.what = "sync method",
               .value = result->synced_write ? "synced writes (RWF_DSYNC)" : "write, then fdatasync",
               .meaning = {}};
  sync.measured["synced_write"] = result->synced_write;
  if (!result->synced_write) {
    sync.verdict = Verdict::slower;
    sync.meaning = "Each durable write costs two operations, one after the other, instead of one.";
  }
  const Histogram& latency = result->latency;
  const double p50 = microseconds(latency.percentile(50)), p99 = microseconds(latency.percentile(99));
  Finding writes{
      .what = "durable writes",
      .value = fmt::format("4 KiB in {:.0f} us (median), {:.0f} us (p99), {:.0f} us (slowest of {})", p50,
                           p99, microseconds(latency.max()), latency.count()),
      .meaning = {},
      .measured = {{"p50_us", p50},
                   {"p99_us", p99},
                   {"max_us", microseconds(latency.max())},
                   {"writes", latency.count()}}};
  writes.meaning =
      "What a durable append waits for at least. Below 20 us, ask whether the device keeps it without power.";
  return {direct, sync, writes};
}

}  // namespace

std::vector<Finding> examine(const std::string& folder) {
  std::vector<Finding> findings{kernel(), processors()};
  const auto features = probe_uring({});
  findings.push_back(uring(features));
  if (features) findings.push_back(registered_memory(*features));
  findings.push_back(limit_of("locked memory", RLIMIT_MEMLOCK, k_memlock_wanted,
                              "Buffers cannot be registered with the kernel, which costs microseconds a "
                              "direct write. Raise it: ulimit -l 8192"));
  findings.push_back(limit_of("open files", RLIMIT_NOFILE, 1024,
                              "Connections and segment files count against it. Raise it: ulimit -n 65536"));
  const std::vector<Finding> system = file_system(folder);
  findings.insert(findings.end(), system.begin(), system.end());
  if (features && system.front().verdict != Verdict::bad) {
    const std::vector<Finding> measured = disk(folder);
    findings.insert(findings.end(), measured.begin(), measured.end());
  }
  return findings;
}

}  // namespace millrace::tools

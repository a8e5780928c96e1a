// Looking at the disk under a data folder.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <optional>
#include <sys/statfs.h>

#include "engine/base/histogram.h"
#include "engine/base/limits.h"
#include "engine/base/units.h"
#include "engine/log/open_node.h"
#include "engine/reactor/shard_threads.h"
#include "tools/doctor.h"

namespace millrace::tools {
namespace {

constexpr std::uint32_t k_writes = 300;
constexpr std::uint64_t k_file_size = 1u << 20;
// For records: below, a server is in the way of the first topic that is used.
constexpr std::uint64_t k_records_wanted = 1_GiB;
// Medians of a durable 4 KiB write: below, it is a cache or memory; above, a disk that turns, or a busy one.
constexpr double k_suspicious_us = 20;
constexpr double k_slow_us = 2000;

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

std::string time_text(double microseconds) {
  return microseconds < 1000 ? fmt::format("{:.0f} us", microseconds)
                             : fmt::format("{:.1f} ms", microseconds / 1000);
}

// A data folder that does not exist yet is made by the server, below the nearest one that does.
std::string existing_folder(const std::string& data) {
  std::error_code ignored;
  if (std::filesystem::exists(data, ignored)) return data;
  std::filesystem::path at = std::filesystem::absolute(data).lexically_normal();
  while (!std::filesystem::exists(at, ignored) && at.has_relative_path()) at = at.parent_path();
  return at;
}

Finding not_there_yet(const std::string& data, const std::string& examined) {
  return {.what = "data folder",
          .value = fmt::format("{} does not exist yet; looked at {}", data, examined),
          .meaning = {},
          .measured = {{"examined", examined}}};
}

// What the server's own files take, without records: beyond k_journal_files a shard a spare one, which is
// made after the start, and needed by the next.
struct Room {
  std::uint64_t to_start = 0;
  std::uint64_t to_go_on = 0;
};
Room room_for(const PlannedServer& server) {
  const std::uint64_t one_each = server.shards * server.journal_file_size;
  Room room{.to_start = k_journal_files * one_each + NodeOptions{}.ballast_size};
  room.to_go_on = room.to_start + one_each;
  return room;
}

// Of those, what stands in the folder already, and is taken over by a start.
std::uint64_t bytes_there(const std::string& data) {
  std::uint64_t bytes = 0;
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator(data + "/journal", ignored)) {
    const std::uint64_t size = file.file_size(ignored);
    if (!ignored) bytes += size;
  }
  const std::uint64_t ballast = std::filesystem::file_size(data + "/ballast", ignored);
  return ignored ? bytes : bytes + ballast;
}

Finding free_space(const PlannedServer& server, std::uint64_t free) {
  const Room room = room_for(server);
  const std::uint64_t there = server.data ? bytes_there(*server.data) : 0;
  // A start takes over no file of the journal in force for its first commits.
  const std::uint64_t needed = there == 0 ? room.to_start : room.to_go_on;
  Finding space{.what = "free space",
                .value = format_size(free),
                .meaning = {},
                .measured = {{"bytes", free}, {"needed_bytes", needed - std::min(there, needed)}}};
  const std::string files =
      fmt::format("{} shard{}, which takes {} for the journal and the ballast{}", server.shards,
                  server.shards == 1 ? "" : "s", format_size(needed),
                  there == 0 ? "" : fmt::format(", of which {} are there", format_size(there)));
  if (free + there < needed) {
    space.verdict = Verdict::bad;
    space.meaning = fmt::format("Too little to start {}. Make room, or give fewer --shards.", files);
  } else if (free + there < room.to_go_on + k_records_wanted) {
    space.verdict = Verdict::slower;
    space.meaning = fmt::format(
        "Enough to start {}. Little is left for records; appends are refused when the disk is full.", files);
  }
  return space;
}

std::vector<Finding> file_system(const PlannedServer& server, const std::string& folder) {
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
  return {type, free_space(server, free)};
}

// In the words of a start.
std::optional<Finding> refused_folder(const PlannedServer& server) {
  if (!server.data) return std::nullopt;
  const std::string data = std::filesystem::absolute(*server.data).lexically_normal();
  const auto checked = run_uring({}, [&](UringReactor& reactor) { return check_folder(reactor, data); });
  if (!checked || *checked) return std::nullopt;  // a ring that cannot be made is another finding
  return Finding{.what = "data folder",
                 .verdict = Verdict::bad,
                 .value = checked->error().message,
                 .meaning = "The server does not start on it."};
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
      .value = fmt::format("4 KiB in {} (median), {} (p99), {} (slowest of {})", time_text(p50),
                           time_text(p99), time_text(microseconds(latency.max())), latency.count()),
      .meaning = {},
      .measured = {{"p50_us", p50},
                   {"p99_us", p99},
                   {"max_us", microseconds(latency.max())},
                   {"writes", latency.count()}}};
  if (p50 < k_suspicious_us) {
    writes.meaning =
        "Faster than most devices write: make sure that this one keeps what it has taken when the power "
        "fails.";
  } else if (p50 > k_slow_us) {
    writes.verdict = Verdict::slower;
    writes.meaning =
        "A durable append waits at least this long: group many records into a batch, or take a device with "
        "power "
        "loss protection.";
  }
  return {direct, sync, writes};
}

}  // namespace

std::vector<Finding> examine_disk(const PlannedServer& server, DiskWrites writes) {
  std::vector<Finding> findings;
  const std::string data = server.data.value_or(".");
  const std::string folder = existing_folder(data);
  if (folder != data) findings.push_back(not_there_yet(data, folder));
  const std::vector<Finding> system = file_system(server, folder);
  findings.insert(findings.end(), system.begin(), system.end());
  if (writes == DiskWrites::leave_out || system.front().verdict == Verdict::bad) return findings;
  if (const auto refused = refused_folder(server)) {
    findings.push_back(*refused);
  } else {
    const std::vector<Finding> measured = disk(folder);
    findings.insert(findings.end(), measured.begin(), measured.end());
  }
  return findings;
}

}  // namespace millrace::tools

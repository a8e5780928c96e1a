// What UringReactor does where the machine refuses something, and what only it can do.
#include <algorithm>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/limits.h"
#include "engine/reactor/unique_fd.h"
#include "tests/reactor/uring_harness.h"

namespace millrace {
namespace {

using testing::ContainsRegex;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using std::chrono_literals::operator""h;

Slice space(Reactor& reactor, std::uint32_t length) {
  return {must(reactor.buffers().acquire(length)), 0, length};
}

struct LoggedShards {
  std::vector<std::string> lines;
  ShardsOptions options{.ring = {}, .log = [this](LogLevel, ShardId, WallTime, const std::string& line) {
                          lines.push_back(line);
                        }};
};

TEST(UringFeatures, AreThereOnThisKernelOrTakenAwayByOption) {
  const UringFeatures all = must(probe_uring({}));
  EXPECT_EQ(all.entries, 1024U);
  EXPECT_GT(all.completion_entries, all.entries);
  const UringFeatures none = must(probe_uring({.entries = 8,
                                               .no_fixed_buffers = true,
                                               .no_registered_files = true,
                                               .no_msg_ring = true,
                                               .no_single_issuer = true,
                                               .no_coop_taskrun = true,
                                               .no_registered_ring = true,
                                               .no_resize_opcode = true}));
  EXPECT_EQ(none.entries, 8U);
  EXPECT_FALSE(none.single_issuer || none.defer_taskrun || none.coop_taskrun || none.registered_ring ||
               none.registered_files || none.fixed_buffers || none.msg_ring || none.resize_opcode);
  const UringFeatures cooperative = must(probe_uring({.no_defer_taskrun = true}));
  EXPECT_FALSE(cooperative.defer_taskrun);
}

TEST(UringFallback, RefusedMemoryCostsOneLine) {
  LoggedShards shards;
  shards.options.buffers.bytes_max = std::uint64_t{1} << 47;
  shards.options.ring.registered_bytes = std::uint64_t{1} << 47;  // more than any machine maps
  must(run_uring(shards.options, [](UringReactor& reactor) -> Task<void> {
    EXPECT_FALSE(reactor.features().fixed_buffers);
    EXPECT_EQ(must(reactor.buffers().acquire(4096)).block()->registered, -1);
    co_return;
  }));
  EXPECT_THAT(shards.lines, testing::Contains(HasSubstr("registered memory is refused")));
}

TEST(UringFallback, RegisteredMemoryIsUsedWhereTheKernelGivesIt) {
  must(run_uring({}, [](UringReactor& reactor) -> Task<void> {
    const int registered = must(reactor.buffers().acquire(4096)).block()->registered;
    EXPECT_EQ(registered, reactor.features().fixed_buffers ? 0 : -1);
    co_return;
  }));
}

TEST(UringMemory, TheNextChunkIsThereBeforeItIsNeeded) {
  must(run_uring({.ring = {.no_fixed_buffers = true}, .log = {}}, [](UringReactor& reactor) -> Task<void> {
    const Slice begun = space(reactor, 4096);
    const auto is_there = [](const Buffer& buffer) {
      std::vector<unsigned char> pages(buffer.capacity() / 4096);
      EXPECT_EQ(::mincore(buffer.data(), buffer.capacity(), pages.data()), 0);
      return std::ranges::all_of(pages, [](unsigned char page) { return (page & 1) != 0; });
    };
    for (bool there = false; !there;) {
      static_cast<void>(co_await reactor.sleep(std::chrono::milliseconds(1)));
      const Buffer next = must(reactor.buffers().acquire(2_MiB));  // touched by nobody
      there = is_there(next);
    }
  }));
}

TEST(UringFallback, AFileSystemWithoutDirectIoCostsOneLine) {
  LoggedShards shards;
  must(run_uring(shards.options, [](UringReactor& reactor) -> Task<void> {
    for (int i = 0; i < 2; ++i) {
      const File file = must(co_await reactor.open("/proc/version", {.direct = true}));
      EXPECT_FALSE(file.direct());
      EXPECT_GT(must(co_await reactor.read(file, space(reactor, 100), 1)), 10U);
    }
  }));
  EXPECT_EQ(std::ranges::count_if(shards.lines, [](auto& l) { return l.find("direct I/O") != l.npos; }), 1);
}

// The story: 1. two synced writes leave in one submission; 2. the refusal of the first tells the file to do
// without; 3. that of the second is no news, and it still has to be written the other way.
TEST(UringFallback, SyncedWritesInFlightTogetherAreAllWrittenWhereTheyAreRefused) {
  TemporaryFolder folder;
  LoggedShards shards;
  shards.options.ring.no_dsync = true;
  must(run_uring(shards.options, [&](UringReactor& reactor) -> Task<void> {
    const File file = must(co_await reactor.open(folder.path() + "/a", {.mode = OpenMode::create}));
    std::vector<Operation<std::uint64_t>> writes;
    for (std::uint64_t i = 0; i < 4; ++i) {
      writes.push_back(reactor.write(file, space(reactor, 4096), i * 4096, Sync::data));
    }
    for (auto& write : writes) EXPECT_EQ(must(co_await write), 4096U);
    EXPECT_FALSE(file.state()->synced_write);
    EXPECT_EQ(must(co_await reactor.write(file, space(reactor, 4096), 0, Sync::data)), 4096U);
  }));
  EXPECT_EQ(std::ranges::count_if(shards.lines, [](auto& l) { return l.find("synced writes") != l.npos; }),
            1);
}

TEST(UringFallback, SpaceIsAllocatedBySizeWhereTheFileSystemCannotReserve) {
  TemporaryFolder folder;
  LoggedShards shards;
  shards.options.ring.no_fallocate = true;
  must(run_uring(shards.options, [&](UringReactor& reactor) -> Task<void> {
    const File file = must(co_await reactor.open(folder.path() + "/a", {.mode = OpenMode::create}));
    must(co_await reactor.allocate(file, 4096, 4096));
    EXPECT_EQ(must(co_await reactor.size(file)), 8192U);
    must(co_await reactor.allocate(file, 0, 4096));
    EXPECT_EQ(must(co_await reactor.size(file)), 8192U);
  }));
  EXPECT_THAT(shards.lines, testing::Contains(HasSubstr("cannot reserve space")));
}

TEST(UringFallback, WithoutSplicesThereAreNoTransfers) {
  must(run_uring({.ring = {.no_splice = true}, .log = {}}, [](UringReactor& reactor) -> Task<void> {
    EXPECT_FALSE(reactor.features().splice);
    const Socket listener = must(co_await reactor.listen({"127.0.0.1", 0}));
    const Socket client = must(co_await reactor.connect(reactor.local_address(listener)));
    const File file = must(co_await reactor.open("/proc/version", {}));
    EXPECT_EQ(code_of(co_await reactor.transfer(file, 0, 10, client)), ErrorCode::unsupported);
  }));
}

TEST(UringErrors, AFullDeviceIsNamed) {
  must(run_uring({}, [](UringReactor& reactor) -> Task<void> {
    const File full = must(co_await reactor.open("/dev/full", {.mode = OpenMode::read_write}));
    const auto result = co_await reactor.write(full, space(reactor, 4096), 0, Sync::no);
    EXPECT_EQ(code_of(result), ErrorCode::disk_full);
    EXPECT_THAT(result.error().message, HasSubstr("/dev/full"));
    EXPECT_THAT(result.error().message, HasSubstr("ENOSPC"));
  }));
}

// Takes a resource limit down for the time of a test.
class Limit {
 public:
  Limit(__rlimit_resource_t resource, rlim_t value) : resource_(resource) {
    ::getrlimit(resource_, &before_);
    const rlimit lower{value, before_.rlim_max};
    ::setrlimit(resource_, &lower);
  }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;
  ~Limit() { ::setrlimit(resource_, &before_); }

 private:
  __rlimit_resource_t resource_;
  rlimit before_{};
};

// The story: 1. the limit lies within the write; 2. the kernel takes the part below it; 3. the attempt to
// write the rest says why; 4. the caller gets the reason and never a short count.
TEST(UringErrors, AWriteThatDoesNotFitWholeFailsWithTheReason) {
  TemporaryFolder folder;
  for (const bool no_dsync : {false, true}) {
    must(run_uring({.ring = {.no_dsync = no_dsync}, .log = {}}, [&](UringReactor& reactor) -> Task<void> {
      const Limit limit(RLIMIT_FSIZE, 6144);
      const std::string path = folder.path() + (no_dsync ? "/a" : "/b");
      const File file = must(co_await reactor.open(path, {.mode = OpenMode::create}));
      for (const Sync sync : {Sync::no, Sync::data}) {
        const auto result = co_await reactor.write(file, space(reactor, 8192), 0, sync);
        EXPECT_EQ(code_of(result), ErrorCode::disk_full);
        EXPECT_THAT(result.error().message, HasSubstr("ulimit -f"));
      }
    }));
  }
}

TEST(UringErrors, TooManyOpenFilesAreNamed) {
  must(run_uring({}, [](UringReactor& reactor) -> Task<void> {
    std::optional<Limit> limit(std::in_place, RLIMIT_NOFILE, 3);
    const auto result = co_await reactor.open("/proc/version", {});
    limit.reset();  // a sanitizer opens files to look at what it doubts
    EXPECT_EQ(code_of(result), ErrorCode::overloaded);
    EXPECT_THAT(result.error().message, HasSubstr("ulimit -n"));
  }));
}

TEST(UringErrors, AnAddressInUseIsNamed) {
  UniqueFd other(::socket(AF_INET, SOCK_STREAM, 0));
  auto where = *to_socket_address({"127.0.0.1", 0});
  ASSERT_EQ(::bind(other.get(), where.get(), where.length), 0);
  ASSERT_EQ(::listen(other.get(), 1), 0);
  ASSERT_EQ(::getsockname(other.get(), where.get(), &where.length), 0);
  must(run_uring({}, [&](UringReactor& reactor) -> Task<void> {
    const auto result = co_await reactor.listen(where.to_address());
    EXPECT_EQ(code_of(result), ErrorCode::unavailable);
    EXPECT_THAT(result.error().message, HasSubstr(to_string(where.to_address())));
    EXPECT_EQ(code_of(co_await reactor.listen({"not numeric", 1})), ErrorCode::invalid_argument);
    // The other one goes while the reactor tries again, as it does for a while.
    auto listening = reactor.listen(where.to_address());
    co_await next_turn(reactor);
    other = {};
    must(co_await listening);
  }));
}

TEST(UringLock, IsRefusedWhileAnotherHolderHasIt) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/lock";
  UniqueFd holder(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  ASSERT_EQ(::flock(holder.get(), LOCK_EX | LOCK_NB), 0);
  must(run_uring({}, [&](UringReactor& reactor) -> Task<void> {
    EXPECT_EQ(code_of(co_await reactor.lock(path)), ErrorCode::folder_in_use);
    // The holder lets go while the reactor tries again, as it does for a while.
    auto locking = reactor.lock(path);
    co_await next_turn(reactor);
    holder = {};
    must(co_await locking);
  }));
}

// The descriptor's number alone does not keep the lock: the rings of all shards do.
TEST(UringLock, IsHeldByTheRingsOfAllShards) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/lock";
  UringHarness harness({});
  harness.run(2, [&](Reactor& reactor) -> Task<void> {
    const File lock = must(co_await reactor.lock(path));
    co_await on_shard(reactor, ShardId{1}, [](Reactor&) -> Task<void> { co_return; });
    // As a kill does: every descriptor of the lock goes at once, while the rings are still there.
    for (int fd = 3; fd < 1024; ++fd) {
      char name[256];
      const auto length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name, sizeof name);
      if (length > 0 && std::string_view(name, static_cast<std::size_t>(length)) == path) ::close(fd);
    }
    UniqueFd other(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_NE(::flock(other.get(), LOCK_EX | LOCK_NB), 0);
    static_cast<UringHandle&>(*lock.state()).fd = -1;  // its number may be somebody else's now
  });
  UniqueFd other(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(::flock(other.get(), LOCK_EX | LOCK_NB), 0);
}

// Each shard gets a descriptor of its own: with no more to be had, the lock must not stay with the rings.
TEST(UringLock, ThatCannotBeGivenToAllShardsIsFree) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/lock";
  UringHarness harness({});
  harness.run(3, [&](Reactor& reactor) -> Task<void> {
    const int next = ::dup(STDERR_FILENO);
    ::close(next);
    {
      const Limit limit(RLIMIT_NOFILE, static_cast<rlim_t>(next) + 2);  // the lock's own and one copy
      EXPECT_EQ(code_of(co_await reactor.lock(path)), ErrorCode::overloaded);
    }
    must(co_await reactor.lock(path));
  });
}

TEST(UringProcess, SignalsComeOutOfWaitSignal) {
  must(run_uring({.ring = {.signals = true}, .log = {}}, [](UringReactor& reactor) -> Task<void> {
    auto waiting = reactor.wait_signal();
    co_await next_turn(reactor);
    ::kill(::getpid(), SIGTERM);
    EXPECT_EQ(must(co_await waiting), static_cast<std::uint64_t>(SIGTERM));
    ::kill(::getpid(), SIGINT);
    EXPECT_EQ(must(co_await reactor.wait_signal()), static_cast<std::uint64_t>(SIGINT));
  }));
  must(run_uring({}, [](UringReactor& reactor) -> Task<void> {
    EXPECT_EQ(code_of(co_await reactor.wait_signal()), ErrorCode::invalid_argument);
  }));
}

TEST(UringProcess, StandardInputIsAStream) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd before(::dup(STDIN_FILENO));
  ::dup2(ends[0], STDIN_FILENO);
  ::close(ends[0]);
  UniqueFd writer(ends[1]);
  must(run_uring({}, [&](UringReactor& reactor) -> Task<void> {
    const File input = reactor.standard_input();
    const Slice into = space(reactor, 4096);
    auto reading = reactor.read(input, into, 0);
    co_await next_turn(reactor);
    EXPECT_EQ(::write(writer.get(), "one", 3), 3);
    EXPECT_EQ(must(co_await reading), 3U);
    EXPECT_EQ(::write(writer.get(), "more", 4), 4);
    EXPECT_EQ(must(co_await reactor.read(input, into, 0)), 4U);
    writer = {};
    EXPECT_EQ(must(co_await reactor.read(input, into, 0)), 0U);
  }));
  ::dup2(before.get(), STDIN_FILENO);
}

TEST(UringProcess, StandardOutputTakesBytesInOrder) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/out";
  const UniqueFd before(::dup(STDOUT_FILENO));
  {
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    ::dup2(file.get(), STDOUT_FILENO);
  }
  must(run_uring({}, [&](UringReactor& reactor) -> Task<void> {
    const File output = reactor.standard_output();
    for (int i = 0; i < 10; ++i) must(co_await reactor.write(output, space(reactor, 100), 0, Sync::no));
  }));
  ::dup2(before.get(), STDOUT_FILENO);
  EXPECT_EQ(std::filesystem::file_size(path), 1000U);
}

// O_NONBLOCK belongs to the pipe's end, whoever has it open.
TEST(UringProcess, AStreamThatSomebodyMadeNonBlockingIsWaitedFor) {
  int in[2], out[2];
  ASSERT_EQ(::pipe2(in, O_NONBLOCK), 0);
  ASSERT_EQ(::pipe2(out, O_NONBLOCK), 0);
  const UniqueFd input_before(::dup(STDIN_FILENO)), output_before(::dup(STDOUT_FILENO));
  ::dup2(in[0], STDIN_FILENO);
  ::dup2(out[1], STDOUT_FILENO);
  ::close(in[0]);
  ::close(out[1]);
  const UniqueFd writer(in[1]), reader(out[0]);
  must(run_uring({}, [&](UringReactor& reactor) -> Task<void> {
    const File input = reactor.standard_input(), output = reactor.standard_output();
    auto reading = reactor.read(input, space(reactor, 4096), 0);
    co_await next_turn(reactor);
    EXPECT_EQ(::write(writer.get(), "one", 3), 3);
    EXPECT_EQ(must(co_await reading), 3U);
    constexpr std::uint32_t k_size = 1u << 20;  // more than a pipe takes
    auto writing = reactor.write(output, space(reactor, k_size), 0, Sync::no);
    std::vector<char> piece(k_size);
    std::uint64_t taken = 0;
    while (taken < k_size) {
      co_await next_turn(reactor);
      const ssize_t count = ::read(reader.get(), piece.data(), piece.size());
      if (count > 0) taken += static_cast<std::uint64_t>(count);
    }
    EXPECT_EQ(must(co_await writing), k_size);
  }));
  ::dup2(input_before.get(), STDIN_FILENO);
  ::dup2(output_before.get(), STDOUT_FILENO);
}

// Makes io_uring_setup fail in this process, as a container's seccomp profile does.
void refuse_io_uring(int error) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(filter), .filter = filter};
  CHECK(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
            ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
        "seccomp is not to be had");
}

[[noreturn]] void start_without_io_uring(int error) {
  refuse_io_uring(error);
  const auto result = run_uring({}, [](UringReactor&) -> Task<void> { co_return; });
  std::fputs(result ? "it started" : result.error().message.c_str(), stderr);
  std::_Exit(result ? 0 : static_cast<int>(result.error().code));
}

TEST(UringRefusedDeathTest, ASeccompProfileIsNamedWithItsRemedy) {
  EXPECT_EXIT(start_without_io_uring(EPERM),
              testing::ExitedWithCode(static_cast<int>(ErrorCode::permission_denied)),
              "seccomp.*kernel.io_uring_disabled");
  EXPECT_EXIT(start_without_io_uring(ENOSYS),
              testing::ExitedWithCode(static_cast<int>(ErrorCode::unsupported)), "Linux 5.15 or newer");
}

}  // namespace
}  // namespace millrace

#include "engine/reactor/shard_threads.h"

#include <csignal>
#include <latch>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <utility>

#include "engine/base/check.h"
#include "engine/reactor/shard_mail.h"

namespace millrace {
namespace {

constexpr std::uint32_t k_shards_max = 256;

// A write to a socket that the peer has closed, or beyond the limit of file sizes, is an error and not the
// process's end; and a process may have as many files and connections as the administrator allows, not the
// 1,024 that shells begin with.
void set_up_process() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);
  }
}

// Keeps SIGINT and SIGTERM for wait_signal(), in this thread and those it starts, until it goes.
class SignalsForShards {
 public:
  explicit SignalsForShards(bool wanted) : wanted_(wanted) {
    if (!wanted_) return;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &signals, &before_);
  }
  SignalsForShards(const SignalsForShards&) = delete;
  SignalsForShards& operator=(const SignalsForShards&) = delete;
  ~SignalsForShards() {
    if (wanted_) ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  bool wanted_;
  sigset_t before_{};
};

void pin_to_processor(std::uint32_t shard) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  const int count = CPU_COUNT(&allowed);
  int skip = static_cast<int>(shard) % count;
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (!CPU_ISSET(processor, &allowed) || skip-- > 0) continue;
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(processor, &own);
    (void)::sched_setaffinity(0, sizeof own, &own);
    return;
  }
}

UringReactor::Setup setup_of(const ShardsOptions& options, std::uint32_t shard) {
  return {.shard = ShardId{shard}, .options = options.ring, .buffers = options.buffers, .log = options.log};
}

}  // namespace

struct ShardThreads::Shared {
  explicit Shared(const ShardsOptions& the_options, ShardMain the_main)
      : options(the_options),
        main(std::move(the_main)),
        signals(options.ring.signals),
        errors(options.count),
        regions(options.count),
        mail(options.count),
        created(options.count + 1),
        begin(1),
        ended(options.count) {}

  void run(std::uint32_t shard);

  const ShardsOptions options;
  const ShardMain main;
  const SignalsForShards signals;
  std::vector<std::optional<Error>> errors;
  // Buffers may outlive their shard, in what another one holds.
  std::vector<std::shared_ptr<RegisteredRegion>> regions;
  ShardMail mail;
  std::latch created;  // every thread has its reactor or its error
  std::latch begin;
  bool refused = false;
  std::latch ended;  // every loop has ended, so no ring is needed any more
};

void ShardThreads::Shared::run(std::uint32_t shard) {
  ::pthread_setname_np(::pthread_self(), fmt::format("shard {}", shard).c_str());
  if (options.pin) pin_to_processor(shard);
  std::unique_ptr<UringReactor> reactor;
  if (auto made = UringReactor::create(setup_of(options, shard), mail)) {
    reactor = *std::move(made);
  } else {
    errors[shard] = made.error();
  }
  created.arrive_and_wait();
  begin.wait();
  if (refused) return;
  reactor->run(main(*reactor));
  regions[shard] = reactor->region();
  reactor->stop();
  ended.arrive_and_wait();
}

ShardThreads::ShardThreads(std::unique_ptr<Shared> shared) : shared_(std::move(shared)) {}

Result<std::unique_ptr<ShardThreads>> ShardThreads::start(const ShardsOptions& options,
                                                          const ShardMain& main) {
  if (options.count < 1 || options.count > k_shards_max) {
    return fail(ErrorCode::invalid_argument, "{} shards; 1 to {} are possible", options.count, k_shards_max);
  }
  set_up_process();
  std::unique_ptr<ShardThreads> made(new ShardThreads(std::make_unique<Shared>(options, main)));
  Shared& shared = *made->shared_;
  for (std::uint32_t shard = 0; shard < options.count; ++shard) {
    made->threads_.emplace_back([&shared, shard] { shared.run(shard); });
  }
  shared.created.arrive_and_wait();
  for (auto& error : shared.errors) shared.refused |= error.has_value();
  shared.begin.count_down();
  for (auto& error : shared.errors) {
    if (error) return fail(*std::move(error));
  }
  return made;
}

void ShardThreads::join() {
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

ShardThreads::~ShardThreads() {
  join();
}

Result<void> shard_threads_detail::run_here(const ShardsOptions& options, const ShardMain& main) {
  set_up_process();
  const SignalsForShards signals(options.ring.signals);
  ShardMail mail(1);
  TRY(auto reactor, UringReactor::create(setup_of(options, 0), mail));
  reactor->run(main(*reactor));
  const auto region = reactor->region();  // under its buffers until the reactor is gone
  reactor->stop();
  reactor.reset();
  return {};
}

}  // namespace millrace

#include "tests/reactor/uring_harness.h"

#include <cstdlib>
#include <optional>

namespace millrace {

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "millrace-test-XXXXXX").string();
  CHECK(::mkdtemp(pattern.data()) != nullptr, "{}", pattern);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::filesystem::remove_all(path_);
}

namespace {

// Tells a shard that it may end; touched on that shard alone.
struct Ending {
  std::optional<WaitQueue> queue;
  bool asked = false;
};

Task<void> serve(UringReactor& reactor, Ending& ending) {
  ending.queue.emplace(reactor);
  while (!ending.asked) co_await ending.queue->wait();
}

Task<void> lead(UringReactor& reactor, const TestMain& main, std::vector<Ending>& endings) {
  co_await main(reactor);
  for (std::uint32_t shard = 1; shard < reactor.shard_count(); ++shard) {
    reactor.post(ShardId{shard}, [&ending = endings[shard]](Reactor&) {
      ending.asked = true;
      if (ending.queue) ending.queue->wake_all();
    });
  }
}

}  // namespace

void UringHarness::run(std::uint32_t shards, const TestMain& main) {
  std::vector<Ending> endings(shards);
  const ShardsOptions options{.count = shards, .pin = false, .ring = options_, .log = {}};
  auto threads = must(ShardThreads::start(options, [&](UringReactor& reactor) {
    const std::uint32_t shard = reactor.shard().value();
    return shard == 0 ? lead(reactor, main, endings) : serve(reactor, endings[shard]);
  }));
  threads->join();
}

Backend uring_backend(std::string name, UringOptions options) {
  return {std::move(name), [options] { return std::make_unique<UringHarness>(options); }};
}

}  // namespace millrace

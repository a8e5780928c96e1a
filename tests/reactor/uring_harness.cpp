#include "tests/reactor/uring_harness.h"

#include <cstdlib>

namespace millrace {

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "millrace-test-XXXXXX").string();
  CHECK(::mkdtemp(pattern.data()) != nullptr, "{}", pattern);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::filesystem::remove_all(path_);
}

void UringHarness::run(std::uint32_t shards, const TestMain& main) {
  std::vector<ShardEnding> endings(shards);
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

#include "tests/net/server_story.h"

#include <algorithm>

namespace millrace::test {

Task<void> pass(Reactor& here, Duration time) {
  static_cast<void>(co_await here.sleep(time));
}

NodeSetup small_node(std::string folder) {
  NodeSetup setup;
  setup.storage.folder = std::move(folder);
  setup.storage.journal_file_size = 1_MiB;
  setup.storage.ballast_size = 64_KiB;
  setup.log.cache_bytes = 4_MiB;
  setup.log.unplaced_bytes_max = 16_MiB;
  return setup;
}

ServerStory::ServerStory(Options the_options)
    : setup(small_node("data")),
      options(the_options),
      world_(options.seed,
             {.buffers = options.buffers, .log = [this](const std::string& line) { log_.push_back(line); }}),
      server_(world_.add_node("server")),
      client_(world_.add_node("client")) {
  setup.listen = Address{"0.0.0.0", 7420};
}

void ServerStory::start() {
  begin();
  const SimEnd end = world_.run_until([&] { return started_ || !server_.running(); });
  EXPECT_EQ(end, SimEnd::reached) << world_.waiting();
}

void ServerStory::begin() {
  started_.reset();
  result_.reset();
  NodeSetup its = setup;
  its.started = [this](const NodeStarted& started) { started_ = started; };
  auto node = std::make_shared<Node>(std::move(its), options.shards);
  server_.start(options.shards, [this, node](Reactor& reactor) -> Task<void> {
    auto result = co_await run_node_shard(reactor, *node);
    if (reactor.shard() == ShardId{0}) result_ = std::move(result);
  });
}

bool ServerStory::run_script(const Script& script) {
  const SimEnd end = world_.run(client_, [this, script](Reactor& reactor) -> Task<void> {
    co_await script(reactor, server_.address(7420));
  });
  EXPECT_EQ(end, SimEnd::reached) << name(end) << "\n" << world_.waiting();
  return end == SimEnd::reached;
}

Result<void> ServerStory::stop() {
  server_.terminate();
  const SimEnd end = world_.run_until([&] { return !server_.running(); }, std::chrono::minutes(5));
  EXPECT_EQ(end, SimEnd::reached) << name(end) << "\n" << world_.waiting();
  if (!result_) return fail(ErrorCode::timed_out, "the node has not ended");
  return *result_;
}

void ServerStory::expect_clean_stop() {
  const auto result = stop();
  EXPECT_TRUE(result) << result.error().message;
}

void ServerStory::kill() {
  if (server_.running()) server_.kill();
  // Until what it has in flight has landed, the lock is held.
  EXPECT_EQ(world_.run_until([&] { return server_.device().in_flight() == 0; }), SimEnd::reached);
}

void ServerStory::run(const Script& script) {
  start();
  ASSERT_TRUE(started_) << why();
  if (run_script(script)) expect_clean_stop();
}

std::string ServerStory::why() const {
  if (!result_) return "the node has not ended";
  return *result_ ? "the node has ended cleanly" : result_->error().message;
}

bool ServerStory::logged(std::string_view part) const {
  return std::ranges::any_of(log_, [&](const std::string& line) { return line.contains(part); });
}

}  // namespace millrace::test

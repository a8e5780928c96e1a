#include "engine/reactor/sim_node.h"

#include <chrono>
#include <fmt/format.h>
#include <utility>

#include "engine/base/check.h"
#include "engine/reactor/sim_reactor.h"
#include "engine/reactor/sim_world.h"

namespace millrace {

struct SimNode::Process {
  std::uint64_t id = 0;
  SimMain main;
  std::uint32_t mains_left = 0;
  std::vector<std::unique_ptr<SimReactor>> shards;
};

SimNode::SimNode(SimWorld& world, std::string name, std::uint32_t number)
    : world_(world),
      name_(std::move(name)),
      number_(number),
      disk_(world.options().disk_capacity),
      device_(world.events(), world.random(), disk_) {}

SimNode::~SimNode() {
  if (running()) end_process(Ending::killed);
}

Address SimNode::address(std::uint16_t port) const {
  return {fmt::format("10.0.0.{}", number_), port};
}

WallTime SimNode::wall_clock() const {
  const auto passed = world_.now().time_since_epoch() + clock_offset_;
  return {world_.options().wall_start.milliseconds +
          std::chrono::floor<std::chrono::milliseconds>(passed).count()};
}

SimReactor& SimNode::reactor(ShardId shard) {
  return *process_->shards[shard.value()];
}

Reactor& SimNode::shard(std::uint32_t index) {
  CHECK(running() && index < process_->shards.size(), "{} runs no shard {}", name_, index);
  process_->shards[index]->wake();  // the caller may give it work
  return *process_->shards[index];
}

std::string SimNode::waiting() const {
  std::string text;
  if (!running()) return text;
  for (const auto& shard : process_->shards) {
    for (const std::string& line : shard->waiting()) {
      text += fmt::format("{}/{} waits for: {}\n", name_, shard->shard().value(), line);
    }
  }
  return text;
}

// ---- the process ------------------------------------------------------------

void SimNode::start(std::uint32_t shards, SimMain main) {
  CHECK(!running(), "{} runs a process already", name_);
  ++starts_;
  process_ = std::make_unique<Process>();
  process_->id = (std::uint64_t{number_} << 16) | starts_;
  process_->main = std::move(main);
  process_->mains_left = shards;
  for (std::uint32_t shard = 0; shard < shards; ++shard) {
    const auto sink = [this](LogLevel level, ShardId from, WallTime, const std::string& line) {
      world_.log(*this, from, level, line);
    };
    const SimReactor::Place place{.process = process_->id, .shard = ShardId{shard}, .shard_count = shards};
    process_->shards.push_back(std::make_unique<SimReactor>(world_, *this, place, sink));
  }
  for (const auto& shard : process_->shards) {
    shard->spawn(run_main(*this, *shard));
    shard->wake();
  }
}

Task<void> SimNode::run_main(SimNode& node, SimReactor& reactor) {
  co_await node.process_->main(reactor);
  node.main_returned(reactor);
}

void SimNode::main_returned(SimReactor& reactor) {
  // After the turn, in which it runs.
  world_.events().after(Duration(0), [this, &reactor, process = process_->id] {
    if (!running() || process_->id != process) return;
    reactor.end();
    if (--process_->mains_left > 0) return;
    // The kernel does not let a process go before it has let go of its buffers and files.
    device_.when_idle(process, [this, process] {
      if (running() && process_->id == process) end_process(Ending::clean);
    });
  });
}

void SimNode::end_process(Ending ending) {
  for (const auto& shard : process_->shards) {
    CHECK(!shard->in_turn(), "{} is ended from within; use SimWorld::after", name_);
  }
  // Peers hear of a kill or a power cut in ways of their own; a clean end closes each socket as its owner
  // lets go of it.
  if (ending != Ending::clean) {
    world_.network().process_ended(
        process_->id, ending == Ending::killed ? SimNetwork::Ending::killed : SimNetwork::Ending::power_cut);
  }
  const std::unique_ptr<Process> ended = std::move(process_);
  for (auto shard = ended->shards.rbegin(); shard != ended->shards.rend(); ++shard) (*shard)->stop();
  device_.process_ended(ended->id);
}

void SimNode::terminate(int signal) {
  CHECK(running(), "{} runs nothing", name_);
  // The kernel gives it to the shard that waits for it, or to the first that will.
  for (const auto& shard : process_->shards) shard->signal(signal);
}

void SimNode::kill() {
  if (running()) end_process(Ending::killed);
}

void SimNode::power_cut(SimCut cut) {
  if (running()) end_process(Ending::power_cut);
  device_.power_cut(cut);
  paused_until_ = {};
}

void SimNode::pause(Duration duration) {
  paused_until_ = world_.now() + duration;
}

}  // namespace millrace

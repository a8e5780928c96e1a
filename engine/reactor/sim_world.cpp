#include "engine/reactor/sim_world.h"

#include <fmt/format.h>
#include <utility>

#include "engine/base/check.h"
#include "engine/reactor/sim_reactor.h"

namespace millrace {
namespace {

const char* name(LogLevel level) {
  constexpr const char* k_names[] = {"debug", "info", "warning", "error"};
  return k_names[static_cast<std::size_t>(level)];
}

}  // namespace

const char* name(SimEnd end) {
  constexpr const char* k_names[] = {"reached", "out of time", "deadlock"};
  return k_names[static_cast<std::size_t>(end)];
}

std::ostream& operator<<(std::ostream& out, SimEnd end) {
  return out << name(end);
}

SimWorld::SimWorld(std::uint64_t seed, SimOptions options)
    : options_(std::move(options)), random_(seed), network_(events_, random_) {}

SimWorld::~SimWorld() = default;

SimNode& SimWorld::add_node(std::string name) {
  const auto number = static_cast<std::uint32_t>(nodes_.size() + 1);
  nodes_.push_back(std::make_unique<SimNode>(*this, std::move(name), number));
  network_.set_node_count(number);
  return *nodes_.back();
}

bool SimWorld::step() {
  if (!events_.step()) return false;
  if (after_event_) after_event_();
  return true;
}

SimEnd SimWorld::run_until(const std::function<bool()>& reached, Duration limit) {
  const MonotonicTime end = now() + limit;
  while (!reached()) {
    if (events_.empty()) return SimEnd::deadlock;
    if (events_.next_time() > end) {
      events_.advance(end);
      return SimEnd::out_of_time;
    }
    step();
  }
  return SimEnd::reached;
}

void SimWorld::run_for(Duration duration) {
  const MonotonicTime end = now() + duration;
  while (events_.next_time() <= end) step();
  events_.advance(end);
}

SimEnd SimWorld::run(SimNode& node, SimMain main, Duration limit) {
  node.start(1, std::move(main));
  const std::uint32_t start = node.starts();
  return run_until([&] { return !node.running() || node.starts() != start; }, limit);
}

void SimWorld::after(Duration delay, SimEvents::Action action) {
  events_.after(delay, std::move(action));
}

void SimWorld::log(const SimNode& node, ShardId shard, LogLevel level, const std::string& line) const {
  if (!options_.log) return;
  const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now().time_since_epoch()).count();
  options_.log(fmt::format("{}.{:06} {}/{} {}: {}", passed / 1'000'000, passed % 1'000'000, node.name(),
                           shard.value(), name(level), line));
}

std::string SimWorld::waiting() const {
  std::string text;
  for (const auto& node : nodes_) text += node->waiting();
  return text;
}

}  // namespace millrace

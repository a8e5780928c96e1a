// Turns, timers and messages of a simulated shard, and the life of its operations.
#include "engine/reactor/sim_reactor.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>

#include "engine/base/check.h"
#include "engine/reactor/sim_world.h"

namespace millrace {

SimReactor::SimReactor(SimWorld& world, SimNode& node, Place place, LogSink sink)
    : Reactor(place.shard, place.shard_count, world.options().buffers, std::move(sink)),
      world_(world),
      node_(node),
      process_(place.process),
      self_(std::make_shared<SimReactor*>(this)),
      last_post_(place.shard_count) {
  set_now(world.now());
}

SimReactor::~SimReactor() {
  CHECK(is_stopped_);
}

WallTime SimReactor::wall_clock() const {
  return node_.wall_clock();
}

std::uint64_t SimReactor::random() {
  return world_.random().next();
}

// ---- turns ------------------------------------------------------------------

void SimReactor::wake() {
  if (turn_is_due_ || is_stopped_) return;
  turn_is_due_ = true;
  world_.events().after(world_.random().between(Duration(0), world_.options().turn_max), [self = self_] {
    if (*self != nullptr) (*self)->turn();
  });
}

void SimReactor::turn() {
  if (world_.now() < node_.paused_until_) {
    world_.events().at(node_.paused_until_, [self = self_] {
      if (*self != nullptr) (*self)->turn();
    });
    return;
  }
  turn_is_due_ = false;
  in_turn_ = true;
  set_now(world_.now());
  ++counters_.turns;
  for (Message& message : std::exchange(inbox_, {})) run_later(std::move(message));
  if (run_ready()) wake();
  in_turn_ = false;
}

void SimReactor::post(ShardId target, Message message) {
  if (is_stopped_) return;
  if (target == shard()) {
    run_later(std::move(message));
    wake();
    return;
  }
  CHECK(target.value() < shard_count(), "shard {} of {}", target.value(), shard_count());
  MonotonicTime& arrival = last_post_[target.value()];
  arrival = std::max(arrival, world_.now() + world_.random().between(Duration(100), Duration(3000)));
  world_.events().at(arrival, [to = node_.reactor(target).self_, message = std::move(message)]() mutable {
    if (*to != nullptr) (*to)->receive(std::move(message));
  });
}

void SimReactor::receive(Message message) {
  inbox_.push_back(std::move(message));
  wake();
}

// ---- operations -------------------------------------------------------------

bool SimReactor::works_on_disk(Verb verb) {
  return verb < Verb::transfer;
}

void SimReactor::begin(std::uint32_t slot) {
  if (slot >= flights_.size()) flights_.resize(slot + 1);
  const auto flight = std::make_shared<Flight>(this, slot);
  flights_[slot] = flight;
  if (is_stopped_) return;  // a destructor of the dying program: it goes no further
  const Request& made = request(slot);
  if (made.verb == Verb::signal) {
    if (pending_signal_ != 0) signal(std::exchange(pending_signal_, 0));
    return;
  }
  if (made.deadline != k_never) add_timer(slot, made.deadline);
  if (works_on_disk(made.verb)) {
    begin_on_disk(flight);
  } else if (made.verb != Verb::sleep) {
    begin_on_network(flight);
  }
}

void SimReactor::cancel(std::uint32_t slot) {
  // Disk operations go their way; stop() ends the rest.
  const FlightPtr flight = flights_[slot];
  if (!is_stopped_ && !works_on_disk(request(slot).verb)) complete(*flight, ECANCELED);
}

void SimReactor::complete(Flight& flight, Outcome outcome) {
  const std::uint32_t slot = flight.slot;
  flight.reactor = nullptr;
  const FlightPtr kept = std::move(flights_[slot]);
  const Request& made = request(slot);
  if (made.deadline != k_never) timers_.erase({made.deadline, slot});
  world_.events().trace((process_ << 32) | (std::uint64_t{shard().value()} << 16) |
                        static_cast<unsigned>(made.verb));
  world_.events().trace((static_cast<std::uint64_t>(outcome.error) << 48) ^ outcome.count);
  finish(slot, std::move(outcome));
  wake();
}

SimEvents::Action SimReactor::when_ready(const FlightPtr& flight,
                                         void (SimReactor::*step)(const FlightPtr&)) {
  return [flight, step] {
    if (flight->reactor != nullptr) (flight->reactor->*step)(flight);
  };
}

void SimReactor::soon(const FlightPtr& flight, void (SimReactor::*step)(const FlightPtr&)) {
  world_.events().after(Duration(world_.random().below(1000)), when_ready(flight, step));
}

void SimReactor::end() {
  destroy_tasks();
  stop();
}

void SimReactor::stop() {
  is_stopped_ = true;
  *self_ = nullptr;
  inbox_.clear();
  destroy_tasks();
  for (std::uint32_t slot = 0; slot < flights_.size(); ++slot) {
    if (const FlightPtr flight = flights_[slot]) complete(*flight, ECANCELED);
  }
}

void SimReactor::signal(int number) {
  for (const FlightPtr& flight : flights_) {
    if (flight == nullptr || request(flight->slot).verb != Verb::signal) continue;
    world_.events().after(Duration(0), [flight, number] {
      if (flight->reactor == nullptr) return;
      flight->reactor->complete(
          *flight, Outcome{.count = static_cast<std::uint64_t>(number), .handle = {}, .entries = {}});
    });
    return;
  }
  pending_signal_ = number;
}

// ---- timers -----------------------------------------------------------------

void SimReactor::add_timer(std::uint32_t slot, MonotonicTime time) {
  timers_.emplace(time, slot);
  arm_timer();
}

void SimReactor::arm_timer() {
  if (timers_.empty() || timers_.begin()->first >= timer_event_) return;
  timer_event_ = std::max(timers_.begin()->first, world_.now());
  world_.events().at(timer_event_, [self = self_] {
    if (*self != nullptr) (*self)->run_timers();
  });
}

void SimReactor::run_timers() {
  timer_event_ = k_never;
  while (!timers_.empty() && timers_.begin()->first <= world_.now()) {
    const FlightPtr flight = flights_[timers_.begin()->second];
    complete(*flight, request(flight->slot).verb == Verb::sleep ? 0 : ETIME);
  }
  arm_timer();
}

std::vector<std::string> SimReactor::waiting() {
  std::vector<std::string> lines;
  for (const FlightPtr& flight : flights_) {
    if (flight == nullptr) continue;
    const Request& made = request(flight->slot);
    const std::string subject = made.verb == Verb::connect || made.verb == Verb::listen
                                    ? to_string(made.address)
                                : made.handle ? made.handle.label()
                                              : made.path;
    lines.push_back(subject.empty() ? name(made.verb) : fmt::format("{} {}", name(made.verb), subject));
  }
  return lines;
}

}  // namespace millrace

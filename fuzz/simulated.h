// A simulated machine for one input: files are put onto its disk, and a task reads them.
#pragma once

#include <span>
#include <string>

#include "engine/base/check.h"
#include "engine/reactor/sim_world.h"

namespace millrace::fuzz {

class SimulatedMachine {
 public:
  SimulatedMachine() : world_(1), node_(world_.add_node("node")) {}
  [[nodiscard]] SimDisk& disk() { return node_.disk(); }
  void write_file(const std::string& path, std::span<const std::byte> bytes) {
    disk().write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  // Runs `main` on the machine's only shard until it returns.
  void run(SimMain main) {
    const SimEnd end = world_.run(node_, std::move(main));
    CHECK(end == SimEnd::reached, "{}: {}", name(end), world_.waiting());
  }

 private:
  SimWorld world_;
  SimNode& node_;
};

}  // namespace millrace::fuzz

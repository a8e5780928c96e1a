// BallastState: what all shards of a node know of its ballast: whether it was given up and is not there
// again.
//
// One for the node; each shard reads and changes it from its own thread. The file is made again while others
// may give it up, so who has made it says which loss that was for: a later one still counts.
#pragma once

#include <atomic>
#include <cstdint>

namespace millrace {

class BallastState {
 public:
  [[nodiscard]] bool is_given_up() const { return made_again_for_ != losses_; }
  // It was removed, or could not be made.
  void give_up() { ++losses_; }
  // To be asked before it is made again, and said after.
  [[nodiscard]] std::uint64_t losses() const { return losses_; }
  void made_again(std::uint64_t losses_before) { made_again_for_ = losses_before; }

 private:
  std::atomic<std::uint64_t> losses_{0};
  std::atomic<std::uint64_t> made_again_for_{0};
};

}  // namespace millrace

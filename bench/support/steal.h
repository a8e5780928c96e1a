// Processor time that the hypervisor gave to other guests while this one wanted to run.
#pragma once

#include <cstdint>

namespace millrace::bench {

class StealMeter {
 public:
  void start() { begin_ = read(); }
  // Of all processor time since start(), in percent; 0 where the kernel does not count it.
  [[nodiscard]] double percent() const;

 private:
  struct Ticks {
    std::uint64_t all = 0, stolen = 0;
  };
  [[nodiscard]] static Ticks read();
  Ticks begin_;
};

}  // namespace millrace::bench

#include "bench/support/steal.h"

#include <fstream>
#include <string>

namespace millrace::bench {

// proc(5), /proc/stat: "cpu user nice system idle iowait irq softirq steal guest guest_nice". Guest time is
// in user time already.
StealMeter::Ticks StealMeter::read() {
  constexpr int k_steal_field = 7;
  std::ifstream file("/proc/stat");
  std::string label;
  file >> label;
  Ticks ticks;
  for (int field = 0; field <= k_steal_field; ++field) {
    std::uint64_t value = 0;
    if (!(file >> value)) return {};
    ticks.all += value;
    if (field == k_steal_field) ticks.stolen = value;
  }
  return ticks;
}

double StealMeter::percent() const {
  const Ticks end = read();
  if (end.all <= begin_.all) return 0;
  return 100.0 * static_cast<double>(end.stolen - begin_.stolen) / static_cast<double>(end.all - begin_.all);
}

}  // namespace millrace::bench

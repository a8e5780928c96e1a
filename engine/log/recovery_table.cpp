#include "engine/log/recovery_table.h"

#include <algorithm>
#include <array>

#include "engine/base/check.h"

namespace millrace {
namespace {

using enum RecoveryVerdict;
constexpr std::nullopt_t k_any = std::nullopt;

constexpr std::array k_rows = {
    // Its writer saw it complete, extents too, and may have acknowledged it.
    RecoveryRow{"complete", CommitBytes::whole, k_any, CalledComplete::yes, k_any, keep},
    RecoveryRow{"acknowledged and gone", CommitBytes::missing, k_any, CalledComplete::yes, k_any, corruption},
    // Complete as far as anybody can see: it may have been acknowledged in the last moment, so it counts.
    RecoveryRow{"last and whole", CommitBytes::whole, CommitExtents::whole, CalledComplete::no, k_any, keep},
    // Never complete, so neither it nor anything behind it was acknowledged.
    RecoveryRow{"torn extent", CommitBytes::whole, CommitExtents::torn, CalledComplete::no, k_any, cut},
    RecoveryRow{"torn before later ones", CommitBytes::missing, k_any, CalledComplete::no, LaterCommits::some,
                cut},
    RecoveryRow{"end", CommitBytes::missing, k_any, CalledComplete::no, LaterCommits::none, end},
};

}  // namespace

bool RecoveryRow::matches(const RecoveryCase& asked) const {
  return bytes.value_or(asked.bytes) == asked.bytes && extents.value_or(asked.extents) == asked.extents &&
         called.value_or(asked.called) == asked.called && later.value_or(asked.later) == asked.later;
}

std::span<const RecoveryRow> recovery_rows() {
  return k_rows;
}

const RecoveryRow& decide(const RecoveryCase& asked) {
  const auto row = std::ranges::find_if(k_rows, [&](const RecoveryRow& r) { return r.matches(asked); });
  CHECK(row != k_rows.end());
  return *row;
}

}  // namespace millrace

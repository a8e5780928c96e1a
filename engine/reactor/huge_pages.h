// Memory from the system, in huge pages where it grants them (transparent huge pages, madvise or always).
#pragma once

#include "engine/base/buffer.h"

namespace millrace {

// Aligned to 2 MiB. What the system does not grant as huge pages comes in ordinary ones.
[[nodiscard]] PageSource huge_pages();

}  // namespace millrace

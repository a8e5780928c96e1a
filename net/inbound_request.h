// InboundRequest: a request as a handler gets it, whole and counted.
#pragma once

#include <cstdint>

#include "engine/base/time.h"
#include "engine/wire/frame.h"
#include "net/memory_budget.h"
#include "net/request_reader.h"

namespace millrace {

struct InboundRequest {
  FrameType type{};
  std::uint64_t correlation = 0;
  Slice table;
  Slice payload;
  BudgetShare share;       // of the shard's bytes for requests, until the request is done
  MonotonicTime received;  // when it was whole
};

}  // namespace millrace

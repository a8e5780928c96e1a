// Appends that go through the journal, all of them: batches of 32 KiB, one at a time for each of many
// partitions. (What a partition gathers beyond 64 KiB goes straight to its segment.)
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/base/error.h"
#include "engine/reactor/task.h"
#include "net/client/client.h"

namespace millrace::bench {

struct JournalLoad {
  std::string topic;
  std::uint32_t partitions = 32;  // of the topic, all of them in use
  double bytes_per_second = 0;    // in all; 0: as fast as it goes
};

// Appends until `enough` says so, and returns when everything is acknowledged.
[[nodiscard]] Task<Result<void>> load_journal(Client& client, JournalLoad load, std::function<bool()> enough);

}  // namespace millrace::bench

// Records into a topic, as an application brings them: through the client library's Producer, as fast as it
// takes them.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/error.h"
#include "engine/reactor/address.h"
#include "engine/reactor/task.h"
#include "net/client/client.h"
#include "net/client/producer.h"

namespace millrace::bench {

struct Load {
  std::string topic;  // all of it goes to partition 0
  std::uint32_t record_size = 0;
  ProducerOptions producer{};
  // How long, or, with 0 seconds, how many records.
  double seconds = 0;
  std::uint64_t records = 0;
};

struct Rate {
  double records = 0;                     // a second
  double payload_bytes = 0, seconds = 0;  // in all
  double median_us = 0, p99_us = 0;       // of a batch, from sealed to acknowledged
};

// Only acknowledged records count, and the time ends when the last one is.
[[nodiscard]] Task<Result<Rate>> produce(Client& client, Load load);

// Makes a topic of one partition that keeps everything, and fills it with about `bytes` of values.
[[nodiscard]] Result<void> make_filled_topic(const Address& server, const std::string& topic,
                                             std::uint32_t record_size, std::uint64_t bytes);

}  // namespace millrace::bench

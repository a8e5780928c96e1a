// What `millrace produce` was asked for.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/client/client.h"
#include "net/client/producer.h"
#include "tools/format_string.h"
#include "tools/options.h"

namespace millrace::tools {

struct ProduceFlags {
  HostPort server = server_default();
  std::string topic;
  std::optional<std::uint32_t> partition;
  std::optional<std::string> key;
  std::string key_delimiter;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string raw;
  Acks acks = Acks::durable;
  Codec codec = Codec::none;
  std::optional<FormatString> acked;
  bool no_create = false;
  std::optional<std::uint32_t> partitions;  // a new topic gets one where nothing is said
  std::uint64_t batch_bytes = k_batch_size_target;
  std::uint32_t batches_in_flight = k_producer_batches_kept;
  bool no_idempotence = false;
  Duration linger{0};
};

}  // namespace millrace::tools

// What the client library's requests and answers are made of, free of the wire's generated types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/base/time.h"

namespace millrace {

// What a producer waits for. The numbers are the protocol's.
enum class Acks : std::uint8_t {
  none = 0,     // no answer at all: the request counts as done when the socket has taken its bytes
  leader = 1,   // the server has it in memory; a crash may still lose it
  durable = 2,  // on the server's device: survives any crash of it
};

struct PartitionName {
  std::string topic;
  std::uint32_t partition = 0;
  friend bool operator==(const PartitionName&, const PartitionName&) = default;
};
// "topic/3", for messages.
[[nodiscard]] std::string to_string(const PartitionName& name);

// A topic as it is made and listed. Sizes in bytes, 0: no limit (segment_bytes 0: the server's default).
struct TopicSpec {
  std::string name;
  std::uint32_t partitions = 1;
  std::uint64_t segment_bytes = 0;    // a segment file is sealed at this size
  Duration segment_age{0};            // or at this age; whole milliseconds, as is retention_age
  std::uint64_t retention_bytes = 0;  // a partition keeps about this much
  Duration retention_age{0};          // and sealed segments no longer than this
  TopicId id{};                       // given by the server; ignored when creating
};

// Settings that change; nothing: stays as it is. Zeros as in TopicSpec.
struct TopicSettingsChange {
  std::optional<std::uint64_t> segment_bytes{};
  std::optional<Duration> segment_age{};
  std::optional<std::uint64_t> retention_bytes{};
  std::optional<Duration> retention_age{};
  friend bool operator==(const TopicSettingsChange&, const TopicSettingsChange&) = default;
};

struct PartitionDescription {
  std::uint32_t partition = 0;
  GroupId group{0};  // names the partition's folder on the server
  std::uint32_t shard = 0;
  Term term{0};
  Offset log_start{0};      // of the first record still there
  Offset durable_end{0};    // after the last record on the server's device
  Offset committed_end{0};  // after the last record that readers may see
  Offset end{0};            // after the last record taken
  std::uint64_t bytes = 0;
  std::uint32_t segments = 0;
};

struct TopicDescription {
  TopicSpec topic;
  std::vector<PartitionDescription> partitions;  // by number, without gaps
};

// What became of a batch that the server has taken.
struct Produced {
  Offset base_offset{-1};  // of its first record; -1 with Acks::none, which has no answer
  Term term{0};
  Acks reached = Acks::none;
  Offset log_start{-1};
};

struct Fetched {
  // Entries (entry_header.h) back to back, each padded to 8 bytes: batches and internal ones. The first may
  // begin before the offset asked for. The slice keeps its memory.
  Slice entries;
  Offset next_offset{0};  // to ask for next
  Offset log_start{0};
  Offset durable_end{0};
  Offset committed_end{0};
  Term term{0};
};

enum class OffsetQuery : std::uint8_t { earliest = 0, latest = 1, timestamp = 2 };

struct ListedOffset {
  Offset offset{0};
  std::int64_t timestamp = -1;  // of that record, milliseconds since 1970; -1 where there is no record
};

struct CounterValue {
  std::string name;
  std::uint64_t value = 0;
};
struct LatencyValues {
  std::string name;
  std::uint64_t count = 0;
  Duration p50{0}, p90{0}, p99{0}, p999{0}, max{0};
};
struct ServerStatus {
  std::string server;  // name and version
  ClusterId cluster;
  NodeId node{0};
  std::uint32_t shards = 0;
  Duration uptime{0};
  std::string data;  // its data folder
  std::vector<CounterValue> counters;
  std::vector<LatencyValues> latencies;
};

// What the server said of itself in the hello.
struct ServerInfo {
  std::string server;
  ClusterId cluster;
  NodeId node{0};
  std::uint32_t frame_size_max = k_frame_size_max;
  std::uint32_t requests_in_flight_max = 1;
};

}  // namespace millrace

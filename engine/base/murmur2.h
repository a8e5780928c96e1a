// Which partition a key belongs to, as Kafka's clients choose it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace millrace {

// MurmurHash2 (32 bits) with the seed of org.apache.kafka.common.utils.Utils.murmur2, 0x9747b28c.
[[nodiscard]] std::uint32_t murmur2(std::span<const std::byte> bytes);

// toPositive(murmur2(key)) % partitions: what DefaultPartitioner does with a record that has a key.
// partitions >= 1.
[[nodiscard]] std::uint32_t partition_of(std::span<const std::byte> key, std::uint32_t partitions);

}  // namespace millrace

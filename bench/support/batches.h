// Record batches to append.
#pragma once

#include <cstdint>

#include "engine/base/buffer.h"
#include "engine/base/error.h"

namespace millrace::bench {

// A batch of one record without a key whose value is `value_size` bytes that do not compress.
[[nodiscard]] Result<Slice> batch_of_one(BufferPool& pool, std::uint32_t value_size);

// A batch of one record, exactly `size` bytes long, `offset` bytes into a buffer of its own that has room to
// pad it to a block. invalid_argument for the few sizes that no record gives: lengths are written in varying
// length.
[[nodiscard]] Result<Slice> batch_of_size(BufferPool& pool, std::uint32_t size, std::uint32_t offset);

}  // namespace millrace::bench

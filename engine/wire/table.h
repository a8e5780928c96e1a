// Tables of frames: reading what a peer sent, which nobody trusts before it was verified, and building ours.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <flatbuffers/flatbuffers.h>
#include <memory>
#include <span>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/wire/frame.h"

namespace millrace {

// A table that has been verified: reading any of its fields stays inside its bytes. What the fields mean
// (ranges of numbers, known values of enums, which may be absent) is still for the reader to check.
template <class T>
class Verified {
 public:
  Verified(Verified&& other) noexcept
      : outside_(other.outside_), large_(std::move(other.large_)), small_words_(other.small_words_) {
    std::copy_n(other.small_.begin(), small_words_, small_.begin());
  }
  Verified& operator=(Verified&&) = delete;
  [[nodiscard]] const T& operator*() const { return *flatbuffers::GetRoot<T>(data()); }
  [[nodiscard]] const T* operator->() const { return flatbuffers::GetRoot<T>(data()); }

 private:
  template <class U>
  friend Result<Verified<U>> verified(std::span<const std::byte> table);
  using Word = std::uint64_t;  // what tables are aligned to: no field is wider
  static constexpr std::size_t k_inline_words = 32;
  Verified() = default;

  [[nodiscard]] const Word* data() const {
    if (outside_ != nullptr) return outside_;
    return large_ != nullptr ? large_.get() : small_.data();
  }

  const Word* outside_ = nullptr;  // the peer's bytes, where they happen to be aligned; else a copy:
  std::unique_ptr<Word[]> large_;
  std::size_t small_words_ = 0;
  std::array<Word, k_inline_words> small_;  // of which the rest is left as it was found
};

// Verifies the bytes of a table, with strict limits: k_table_size_max, 16 levels, 4,096 tables. The result
// refers to `table` and is valid as long as it. protocol_error otherwise.
template <class T>
[[nodiscard]] Result<Verified<T>> verified(std::span<const std::byte> table) {
  constexpr flatbuffers::uoffset_t k_depth_max = 16;
  constexpr flatbuffers::uoffset_t k_tables_max = 4096;
  // The size comes first: the Verifier only asserts it.
  constexpr std::size_t k_size_min = 2 * sizeof(flatbuffers::uoffset_t);
  if (table.size() < k_size_min || table.size() > k_table_size_max) {
    return fail(ErrorCode::protocol_error, "a table of {} bytes; {} to {} are possible", table.size(),
                k_size_min, k_table_size_max);
  }
  using Word = typename Verified<T>::Word;
  Verified<T> result;
  if (reinterpret_cast<std::uintptr_t>(table.data()) % alignof(Word) == 0) {
    result.outside_ = reinterpret_cast<const Word*>(table.data());
  } else {
    const std::size_t words = (table.size() + sizeof(Word) - 1) / sizeof(Word);
    Word* copy = result.small_.data();
    if (words > result.small_.size()) {
      result.large_ = std::make_unique_for_overwrite<Word[]>(words);
      copy = result.large_.get();
    } else {
      result.small_words_ = words;
    }
    copy[words - 1] = 0;  // behind the table
    std::memcpy(copy, table.data(), table.size());
  }
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(result.data()), table.size(),
                                 k_depth_max, k_tables_max);
  if (!verifier.VerifyBuffer<T>(nullptr)) {
    return fail(ErrorCode::protocol_error, "a table that does not hold together; it was built wrongly");
  }
  return result;
}

// The bytes of a finished table.
[[nodiscard]] inline std::span<const std::byte> table_bytes(const flatbuffers::FlatBufferBuilder& builder) {
  return {reinterpret_cast<const std::byte*>(builder.GetBufferPointer()), builder.GetSize()};
}

// Writes preamble and table of a frame into `into`, which has room for them, and returns their length; the
// payload, of `payload_length` bytes, follows on the wire. `type` is a FrameType's number, or answer_to()
// one.
inline std::uint32_t encode_frame(std::uint8_t type, std::uint64_t correlation,
                                  std::span<const std::byte> table, std::uint32_t payload_length,
                                  std::span<std::byte> into) {
  const auto table_length = static_cast<std::uint32_t>(table.size());
  encode_preamble({.type = type,
                   .correlation = correlation,
                   .table_length = table_length,
                   .payload_length = payload_length},
                  table, into);
  std::ranges::copy(table, into.begin() + k_preamble_size);
  return k_preamble_size + table_length;
}

}  // namespace millrace

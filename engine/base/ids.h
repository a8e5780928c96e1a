// Ids and positions as types of their own, so that an index cannot be passed where an offset is meant.
//
// Each is a plain number with comparison, and nothing implicit: `Index{7}.value()` takes the number out,
// `next(index)` and `index - other` are the only arithmetic most of them need.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace millrace {

template <class Tag, class Rep>
class Strong {
 public:
  using rep = Rep;
  constexpr Strong() = default;
  constexpr explicit Strong(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }
  friend constexpr auto operator<=>(Strong, Strong) = default;
  // `position + count` and `position - count` stay in the type; the caller knows that they do not wrap.
  friend constexpr Strong operator+(Strong a, Rep b) { return Strong(static_cast<Rep>(a.value_ + b)); }
  friend constexpr Strong operator-(Strong a, Rep b) { return Strong(static_cast<Rep>(a.value_ - b)); }
  // The distance between two positions.
  friend constexpr Rep operator-(Strong a, Strong b) { return static_cast<Rep>(a.value_ - b.value_); }

 private:
  Rep value_{};
};

template <class Tag, class Rep>
constexpr Strong<Tag, Rep> next(Strong<Tag, Rep> x) {
  return x + Rep{1};
}

// Position of an entry in one group's log, from 1; 0 is "before the first".
using Index = Strong<struct IndexTag, std::uint64_t>;
// Position of a record as users see it, from 0; also used for "the next offset" of an empty log.
using Offset = Strong<struct OffsetTag, std::int64_t>;
// Raft term, from 1; 0 is "no term yet". 31 bits, because it travels as the batch's partition leader epoch.
using Term = Strong<struct TermTag, std::int32_t>;
// One partition's replicated log, unique for the life of the cluster. Group 0 is the cluster's own metadata.
using GroupId = Strong<struct GroupTag, std::uint64_t>;
using NodeId = Strong<struct NodeTag, std::uint32_t>;
using ShardId = Strong<struct ShardTag, std::uint32_t>;
// The order of commits in one journal under one start id, from 1.
using Sequence = Strong<struct SequenceTag, std::uint64_t>;

inline constexpr GroupId k_metadata_group{0};

// 16 random bytes: names of clusters, topics and incarnations.
template <class Tag>
struct Uuid {
  std::array<std::byte, 16> bytes{};
  friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;
};
using ClusterId = Uuid<struct ClusterTag>;
using TopicId = Uuid<struct TopicTag>;
using IncarnationId = Uuid<struct IncarnationTag>;

}  // namespace millrace

template <class Tag, class Rep>
struct std::hash<millrace::Strong<Tag, Rep>> {
  std::size_t operator()(millrace::Strong<Tag, Rep> x) const noexcept { return std::hash<Rep>()(x.value()); }
};

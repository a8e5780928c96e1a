// Every I/O operation of a fixed life of a log fails, in turn, once and for ever: nothing acknowledged is
// lost, nothing hangs, and errors have names.
//
// One operation again: MILLRACE_FAULT=EioOnce:117 ctest -R OneIoFault
#include <gtest/gtest.h>
#include <tuple>

#include "tests/log/io_fault_story.h"

namespace millrace::test {
namespace {

// Cases of each fault, so that processors can share them.
constexpr std::uint64_t k_slices = 4;
// The life does all of what it should: far fewer operations would mean that it does not.
constexpr std::uint64_t k_operations_min = 500;
constexpr std::uint64_t k_transfers_min = 200;

class IoFaults : public testing::TestWithParam<std::tuple<IoFault, std::uint64_t>> {};

TEST_P(IoFaults, AtEveryOperationLoseNothingAcknowledgedAndHangNothing) {
  const auto& [fault, slice] = GetParam();
  const IoFaultBound bound = count_operations(fault);
  ASSERT_GE(bound.operations, fault.hits_transfers_alone() ? k_transfers_min : k_operations_min)
      << bound.described;
  ASSERT_EQ(bound.missed, "") << bound.described;
  sweep(fault, bound, 1 + slice, k_slices, live_with_fault);
}
INSTANTIATE_TEST_SUITE_P(Log, IoFaults,
                         testing::Combine(testing::ValuesIn(k_io_faults),
                                          testing::Range<std::uint64_t>(0, k_slices)),
                         [](const auto& info) {
                           return std::get<0>(info.param).name + std::to_string(std::get<1>(info.param));
                         });

TEST(OneIoFault, LosesNothingAcknowledgedAndHangsNothing) {
  live_with_chosen_fault(live_with_fault);
}

}  // namespace
}  // namespace millrace::test

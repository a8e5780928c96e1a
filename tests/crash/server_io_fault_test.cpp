// I/O operations of a whole server's life fail, one in each run, once or for ever: clients hear named errors,
// nothing acknowledged is lost, nothing refused is there, nobody waits for ever. Every fourth operation, from
// another first one for each fault; tests/log/io_fault_test.cpp takes every single one of a log's life.
//
// Every single one of the server's, too: MILLRACE_ALL_FAULTS=1 ctest -R ServerIoFaults (three minutes)
// One operation again: MILLRACE_FAULT=EioOnce:117 ctest -R OneServerIoFault
#include <cstdlib>
#include <gtest/gtest.h>

#include "tests/crash/io_fault_story.h"

namespace millrace::test {
namespace {

constexpr std::uint64_t k_step = 4;
// Far fewer operations would mean that the life is not what it was.
constexpr std::uint64_t k_operations_min = 300;

class ServerIoFaults : public testing::TestWithParam<std::size_t> {};

TEST_P(ServerIoFaults, LoseNothingAcknowledgedAndHangNobody) {
  const IoFault& fault = k_io_faults[GetParam()];
  const IoFaultBound bound = count_server_operations(fault);
  ASSERT_GE(bound.operations, k_operations_min) << bound.described;
  ASSERT_EQ(bound.missed, "") << bound.described;
  const std::uint64_t step = std::getenv("MILLRACE_ALL_FAULTS") != nullptr ? 1 : k_step;
  sweep(fault, bound, 1 + GetParam() % step, step, serve_with_fault);
}
INSTANTIATE_TEST_SUITE_P(Server, ServerIoFaults, testing::Range<std::size_t>(0, k_io_faults.size()),
                         [](const auto& info) { return k_io_faults[info.param].name; });

TEST(OneServerIoFault, LosesNothingAcknowledgedAndHangsNobody) {
  live_with_chosen_fault(serve_with_fault);
}

}  // namespace
}  // namespace millrace::test

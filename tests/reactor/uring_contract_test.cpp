// The contract on io_uring: as this machine offers it, and with each feature taken away.
#include "tests/reactor/uring_harness.h"

namespace millrace {
namespace {

INSTANTIATE_TEST_SUITE_P(
    Uring, ReactorContract,
    testing::Values(uring_backend("WithEverything", {}), uring_backend("RingOfEight", {.entries = 8}),
                    uring_backend("BusyPoll", {.busy_poll = std::chrono::hours(1)}),
                    uring_backend("BusyPollAtTimes", {.busy_poll = std::chrono::microseconds(20)}),
                    uring_backend("NoDirect", {.no_direct = true}),
                    uring_backend("NoDsync", {.no_dsync = true}),
                    uring_backend("NoFixedBuffers", {.no_fixed_buffers = true}),
                    uring_backend("NoMsgRing", {.no_msg_ring = true}),
                    uring_backend("NoDeferTaskrun", {.no_defer_taskrun = true}),
                    uring_backend("NoSingleIssuer", {.no_single_issuer = true}),
                    uring_backend("Oldest", {.entries = 64,
                                             .no_direct = true,
                                             .no_dsync = true,
                                             .no_fixed_buffers = true,
                                             .no_registered_files = true,
                                             .no_msg_ring = true,
                                             .no_defer_taskrun = true,
                                             .no_single_issuer = true,
                                             .no_coop_taskrun = true,
                                             .no_registered_ring = true,
                                             .no_resize_opcode = true})),
    backend_name);

}  // namespace
}  // namespace millrace

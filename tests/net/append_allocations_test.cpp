// In steady state an append allocates nothing, from the receive to the answer: this program counts every
// allocation of a server on threads, io_uring and real sockets. The client is this thread, which allocates
// nothing itself while it is counted.
#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstdlib>
#include <future>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <numeric>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "engine/base/endian.h"
#include "engine/reactor/shard_threads.h"
#include "net/node.h"
#include "tests/base/counted_allocations.h"
#include "tests/net/server_peer.h"
#include "tests/reactor/uring_harness.h"

namespace millrace::test {
namespace {

// A connection whose requests are bytes that were made before.
class PlainClient {
 public:
  explicit PlainClient(const Address& server) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(server.port);
    EXPECT_EQ(::inet_pton(AF_INET, server.host.c_str(), &to.sin_addr), 1);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    const int one = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ask(Peer::hello_frame());
  }
  PlainClient(const PlainClient&) = delete;
  PlainClient& operator=(const PlainClient&) = delete;
  ~PlainClient() { ::close(socket_); }

  void send(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ASSERT_GT(sent, 0);
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }
  // The type of the next frame.
  std::uint8_t receive() {
    if (!fill(std::span(answer_).first(k_preamble_size))) return 0;
    const std::size_t rest = load_le<std::uint32_t>(answer_.data() + 16);
    if (!fill(std::span(answer_).subspan(k_preamble_size, rest))) return 0;
    return std::to_integer<std::uint8_t>(answer_[5]);
  }
  void ask(const Bytes& request) {
    send(request);
    EXPECT_NE(receive(), number(FrameType::error));
  }

 private:
  [[nodiscard]] bool fill(std::span<std::byte> into) const {
    while (!into.empty()) {
      const ssize_t count = ::recv(socket_, into.data(), into.size(), 0);
      if (count <= 0) return false;
      into = into.subspan(static_cast<std::size_t>(count));
    }
    return true;
  }
  int socket_;
  std::array<std::byte, 4096> answer_;
};

// The node on threads of its own, with a small journal and cache.
class Serving {
 public:
  explicit Serving(std::uint32_t shards) {
    NodeSetup setup;
    setup.storage.folder = folder_.path() + "/data";
    setup.storage.journal_file_size = 8_MiB;
    setup.log.cache_bytes = 1_MiB;  // full soon: until then, memory for it is taken
    setup.listen = Address{"127.0.0.1", 0};
    std::promise<Address> address;
    setup.started = [&address](const NodeStarted& started) { address.set_value(started.address); };
    node_.emplace(std::move(setup), shards);
    ShardsOptions options;
    options.count = shards;
    options.pin = false;
    options.ring.signals = true;
    auto threads = ShardThreads::start(options, [this](UringReactor& reactor) -> Task<void> {
      auto ended = co_await run_node_shard(reactor, *node_);
      EXPECT_TRUE(ended) << ended.error().message;
    });
    EXPECT_TRUE(threads) << threads.error().message;
    threads_ = *std::move(threads);
    address_ = address.get_future().get();
  }
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;
  ~Serving() {
    ::kill(::getpid(), SIGTERM);
    threads_->join();
  }
  [[nodiscard]] const Address& address() const { return address_; }

 private:
  TemporaryFolder folder_;
  std::optional<Node> node_;
  std::unique_ptr<ShardThreads> threads_;
  Address address_;
};

struct Load {
  const char* name;
  std::size_t batch_size;
  std::uint32_t partitions;
  int pipelined;  // requests in flight
};

class AppendAllocations : public testing::TestWithParam<Load> {};

// Some requests are a window: appends, and what goes on beside them, such as moves to segments. Memory that
// grows with what is stored (the index of a segment, 32 bytes for each 256 KiB) grows in steps that are ever
// rarer, so not every window meets one; what a request allocates would show in each.
TEST_P(AppendAllocations, AreNoneInSteadyState) {
  constexpr int k_requests = 256, k_windows = 5;
  const Load& load = GetParam();
  const Serving serving(1);
  PlainClient client(serving.address());
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateCreateTopic(builder, builder.CreateString("orders"), load.partitions));
  client.ask(Peer::frame(FrameType::create_topic, 1, builder));
  Bytes stream;
  for (int i = 0; i < load.pipelined; ++i) {
    const auto partition = static_cast<std::uint32_t>(i) % load.partitions;
    const Bytes frame =
        Peer::produce_frame(static_cast<std::uint64_t>(i), "orders", large_batch(load.batch_size), partition);
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  std::array<std::uint64_t, k_windows> counted{};
  bool answered = true;
  const auto produce = [&] {
    for (int i = 0; i < k_requests; i += load.pipelined) {
      client.send(stream);
      for (int k = 0; k < load.pipelined; ++k) {
        answered = answered && client.receive() == answer_to(FrameType::produce);
      }
    }
  };
  for (int i = 0; i < 3; ++i) produce();
  for (std::uint64_t& count : counted) {
    const std::uint64_t before = allocations();
    produce();
    count = allocations() - before;
  }
  if (std::getenv("SHOW_ALLOCATIONS") != nullptr) {
    const ShowAllocations show;
    produce();
  }
  EXPECT_TRUE(answered);
  EXPECT_EQ(std::ranges::min(counted), 0u) << testing::PrintToString(counted);
  EXPECT_LT(std::accumulate(counted.begin(), counted.end(), 0u), k_windows * k_requests / 50u)
      << testing::PrintToString(counted);
}
INSTANTIATE_TEST_SUITE_P(Of, AppendAllocations,
                         testing::Values(Load{"SmallBatchesOneByOne", 100, 1, 1},
                                         Load{"ManySmallBatchesOfOnePartition", 1000, 1, 128},
                                         Load{"LargeBatchesOneByOne", 70'000, 1, 1},
                                         Load{"LargeBatchesSideBySide", 250'000, 2, 4}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace millrace::test

// In steady state an append allocates nothing, from the receive to the answer: this program counts every
// allocation of a server on threads, io_uring and real sockets. The client is this thread, which allocates
// nothing itself while it is counted.
//
// Steady state is what a server comes to that has seen more than what is counted: its free lists and queues
// have grown as far as they will. How many requests meet in a turn, a commit or an extent is the machine's
// choice, so a warm-up of the same load proves nothing. Each thing that grows is taken beyond what the load
// can ask of it, by the means that reach it for sure:
//
//   what grows                             taken there by
//   free lists of frames and containers    stock_frames()
//   queues of a turn, operations, timers   begin_much_at_once()
//   entries of a move to a segment         warm_up(): small batches that no commit sends there directly,
//   until a
//                                          move is due
//   entries of a direct commit             warm_up(): small batches short of a move, and a large one
//   the index of a segment (32 bytes for   warm_up(): large batches, until it has just doubled
//   each 256 KiB)
//
// What would allocate beside requests, checkpoints, new segments and rounds of retention, does not come about
// within what is sent. Then the count is exact: 0.
#include <arpa/inet.h>
#include <csignal>
#include <cstdlib>
#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "engine/base/checksum.h"
#include "engine/base/endian.h"
#include "engine/base/record_batch.h"
#include "engine/reactor/frame_allocator.h"
#include "engine/reactor/shard_threads.h"
#include "engine/reactor/wait.h"
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

// ---- the server --------------------------------------------------------------------

// Leaves in this thread's free lists what bursts would: of each size more than the loads below have in use at
// a time. 6.4 MiB of the 8 that a thread keeps.
void stock_frames() {
  struct Stock {
    std::size_t from, to, step, count;
  };
  // Nodes of queues are 512 bytes, frames 200 to 2,000; vectors that double have all sizes.
  constexpr std::array k_stock = {
      Stock{64, 512, 64, 640},      Stock{576, 2048, 64, 140},    Stock{2112, 4096, 64, 4},
      Stock{8192, 8192, 64, 8},     Stock{16'384, 16'384, 64, 4}, Stock{32'768, 32'768, 64, 4},
      Stock{65'536, 65'536, 64, 2},
  };
  std::vector<std::pair<void*, std::size_t>> taken;
  for (const Stock& stock : k_stock) {
    for (std::size_t size = stock.from; size <= stock.to; size += stock.step) {
      for (std::size_t i = 0; i < stock.count; ++i) taken.emplace_back(allocate_frame(size), size);
    }
  }
  for (const auto& [frame, size] : taken) free_frame(frame, size);
}

// More coroutines ready, yielded and waiting for timers at a time than the loads have requests under way.
Task<void> begin_much_at_once(Reactor& reactor) {
  const auto one = [](Reactor& on) -> Task<void> {
    co_await on.yield();
    static_cast<void>(co_await on.sleep_until(on.now()));
  };
  Gate gate(reactor);
  for (int i = 0; i < 1024; ++i) gate.spawn(one(reactor));
  co_await gate.close();
}

// The node on threads of its own.
class Serving {
 public:
  explicit Serving(std::uint32_t shards) {
    NodeSetup setup;
    setup.storage.folder = folder_.path() + "/data";
    setup.storage.journal_file_size = 16_MiB;  // no checkpoint before 32 MiB
    setup.log.cache_bytes = 1_MiB;             // full soon: until then, memory for it is taken
    setup.log.retention_interval = std::chrono::hours(24);
    setup.listen = Address{"127.0.0.1", 0};
    std::promise<Address> address;
    setup.started = [&address](const NodeStarted& started) { address.set_value(started.address); };
    node_.emplace(std::move(setup), shards);
    ShardsOptions options;
    options.count = shards;
    options.pin = false;
    options.ring.signals = true;
    auto threads = ShardThreads::start(options, [this](UringReactor& reactor) -> Task<void> {
      stock_frames();
      co_await begin_much_at_once(reactor);
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

// ---- what is sent ------------------------------------------------------------------

struct Load {
  const char* name;
  std::size_t batch_size;
  std::uint32_t partitions;
  int pipelined;  // requests in flight
  int requests;   // counted, in a window
  std::uint32_t shards = 1;
  std::int64_t producers = 0;  // idempotent ones
};

constexpr int k_windows = 5;
constexpr std::uint64_t k_index_step = 256_KiB;

// Produce requests that are sent in one go.
class Stream {
 public:
  void add(const Bytes& batch, std::uint32_t partition) {
    const Bytes frame = Peer::produce_frame(batches_.size(), "orders", batch, partition);
    bytes_.insert(bytes_.end(), frame.begin(), frame.end());
    batches_.push_back({bytes_.size() - batch.size(), batch.size()});
  }
  // The batches, all of one partition, become the next of so many producers, who take turns.
  void stamp(std::int64_t producers) {
    for (std::size_t i = 0; i < batches_.size(); ++i, ++stamped_) {
      const auto [at, size] = batches_[i];
      const auto turn = static_cast<std::int64_t>(stamped_);
      store_be<std::int64_t>(bytes_.data() + at + 43, 1000 + turn % producers);
      store_be<std::int16_t>(bytes_.data() + at + 51, 0);
      store_be<std::int32_t>(bytes_.data() + at + 53, static_cast<std::int32_t>(turn / producers));
      const auto covered = std::span(bytes_).subspan(at + k_batch_crc_begin, size - k_batch_crc_begin);
      store_be<std::uint32_t>(bytes_.data() + at + 17, crc32c(covered));
    }
  }
  // Sends them and takes the answers; false when one of them is another than it should be.
  [[nodiscard]] bool exchange(PlainClient& client) const {
    client.send(bytes_);
    bool answered = true;
    for (std::size_t i = 0; i < batches_.size(); ++i) {
      answered = client.receive() == answer_to(FrameType::produce) && answered;
    }
    return answered;
  }

 private:
  struct Batch {
    std::size_t at, size;
  };
  Bytes bytes_;
  std::vector<Batch> batches_;
  std::uint64_t stamped_ = 0;
};

// So that everything that this partition's log keeps has grown beyond what the loads make of it.
void warm_up(PlainClient& client, std::uint32_t partition) {
  Stream small, large;
  // 30 KiB in all: no commit sends them to the segment directly, which begins with 64 KiB.
  for (int i = 0; i < 256; ++i) small.add(batch_of("x"), partition);
  large.add(large_batch(70'000), partition);
  const auto exchange = [&](const Stream& stream, int times) {
    for (int i = 0; i < times; ++i) ASSERT_TRUE(stream.exchange(client));
  };
  // 18 blocks each, so every fourth has an item in the segment's index: 130 items, and room for 256.
  exchange(large, 520);
  for (int i = 0; i < 3; ++i) {
    exchange(small, 7);  // 210 KiB: a move is due at 256
    exchange(large, 1);  // takes them along
    exchange(small, 18);
  }
}

class AppendAllocations : public testing::TestWithParam<Load> {};

TEST_P(AppendAllocations, AreNoneInSteadyState) {
  const Load& load = GetParam();
  const std::uint64_t bytes = load.batch_size * static_cast<std::uint64_t>(load.requests * k_windows);
  ASSERT_LT(bytes / load.partitions, 100 * k_index_step) << "the index of a segment grows";
  const Serving serving(load.shards);
  PlainClient client(serving.address());
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateCreateTopic(builder, builder.CreateString("orders"), load.partitions));
  client.ask(Peer::frame(FrameType::create_topic, 1, builder));
  for (std::uint32_t partition = 0; partition < load.partitions; ++partition) warm_up(client, partition);
  Stream stream;
  for (int i = 0; i < load.pipelined; ++i) {
    stream.add(large_batch(load.batch_size), static_cast<std::uint32_t>(i) % load.partitions);
  }
  bool answered = true;
  const auto produce = [&] {
    for (int i = 0; i < load.requests; i += load.pipelined) {
      if (load.producers != 0) stream.stamp(load.producers);
      answered = stream.exchange(client) && answered;
    }
  };
  produce();
  std::array<std::uint64_t, k_windows> counted{};
  {
    std::optional<ShowAllocations> show;
    if (std::getenv("SHOW_ALLOCATIONS") != nullptr) show.emplace();
    for (std::uint64_t& count : counted) {
      const std::uint64_t before = allocations();
      produce();
      count = allocations() - before;
    }
  }
  EXPECT_TRUE(answered);
  EXPECT_THAT(counted, testing::Each(0u)) << "SHOW_ALLOCATIONS=1 shows who they are of";
}
INSTANTIATE_TEST_SUITE_P(Of, AppendAllocations,
                         testing::Values(Load{.name = "SmallBatchesOneByOne",
                                              .batch_size = 100,
                                              .partitions = 1,
                                              .pipelined = 1,
                                              .requests = 256},
                                         Load{.name = "ManySmallBatchesOfOnePartition",
                                              .batch_size = 1000,
                                              .partitions = 1,
                                              .pipelined = 128,
                                              .requests = 256},
                                         Load{.name = "LargeBatchesOneByOne",
                                              .batch_size = 70'000,
                                              .partitions = 1,
                                              .pipelined = 1,
                                              .requests = 64},
                                         Load{.name = "LargeBatchesSideBySide",
                                              .batch_size = 250'000,
                                              .partitions = 2,
                                              .pipelined = 4,
                                              .requests = 32},
                                         Load{.name = "SmallBatchesOfIdempotentProducers",
                                              .batch_size = 1000,
                                              .partitions = 1,
                                              .pipelined = 128,
                                              .requests = 256,
                                              .producers = 5},
                                         Load{.name = "LargeBatchesOfIdempotentProducers",
                                              .batch_size = 70'000,
                                              .partitions = 1,
                                              .pipelined = 4,
                                              .requests = 64,
                                              .producers = 3},
                                         Load{.name = "SmallBatchesOverTwoShards",
                                              .batch_size = 1000,
                                              .partitions = 4,
                                              .pipelined = 128,
                                              .requests = 256,
                                              .shards = 2},
                                         Load{.name = "LargeBatchesOverTwoShards",
                                              .batch_size = 70'000,
                                              .partitions = 2,
                                              .pipelined = 4,
                                              .requests = 64,
                                              .shards = 2}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace millrace::test

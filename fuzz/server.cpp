// A whole server in simulation, and a client that sends it what it likes.
//
// Input: u8 (1: without the hello first), then what is sent, piece by piece: u8 of which the lowest two bits
// say what it is. 0, 1: a frame: u8 type, u8 (1: repair the batch in the payload), chunks: table, payload. 2:
// a chunk as it is. 3: a pause.
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "engine/base/check.h"
#include "engine/reactor/sim_world.h"
#include "engine/wire/protocol_generated.h"
#include "engine/wire/table.h"
#include "fuzz/input.h"
#include "fuzz/repair.h"
#include "net/node.h"

namespace millrace::fuzz {
namespace {

constexpr std::uint16_t k_port = 7420;
constexpr std::size_t k_pieces_max = 32;

template <class Build>
Bytes frame_of(FrameType type, Build build) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(build(builder));
  const auto table = table_bytes(builder);
  Bytes frame(k_preamble_size + table.size());
  encode_frame(number(type), 1, table, 0, frame);
  return frame;
}
Bytes hello() {
  return frame_of(FrameType::hello, [](auto& b) { return wire::CreateHelloDirect(b, 1, 1, 0, "fuzz"); });
}
Bytes create_topic() {
  return frame_of(FrameType::create_topic,
                  [](auto& b) { return wire::CreateCreateTopicDirect(b, "orders", 2); });
}
Bytes status() {
  return frame_of(FrameType::status, [](auto& b) { return wire::CreateStatus(b); });
}

// Bytes to send; nothing for a pause.
std::optional<Bytes> take_piece(Input& input) {
  const auto kind = input.take<std::uint8_t>() % 4;
  if (kind == 3) return std::nullopt;
  if (kind == 2) return input.take_chunk();
  const auto type = input.take<std::uint8_t>();
  const bool repaired = (input.take<std::uint8_t>() & 1) != 0;
  const Bytes table = input.take_chunk();
  Bytes payload = input.take_chunk();
  if (repaired) repair_batch(payload);
  Bytes frame(k_preamble_size + table.size());
  encode_frame(type, 7, table, static_cast<std::uint32_t>(payload.size()), frame);
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

// What a client that speaks HTTP is told, before the server closes.
constexpr std::string_view k_http_answer = "HTTP/1.1 400 ";

// A connection of the client; everything that the server answers must be frames, but for that.
class Connection {
 public:
  Connection(Reactor& reactor, Socket socket) : reactor_(reactor), socket_(std::move(socket)) {}

  Task<bool> send(Bytes bytes) {
    while (!bytes.empty()) {
      const std::size_t part = std::min<std::size_t>(bytes.size(), 64_KiB);
      Buffer buffer = *reactor_.buffers().acquire(part);
      std::memcpy(buffer.data(), bytes.data(), part);
      const auto deadline = reactor_.now() + std::chrono::seconds(1);
      if (!co_await reactor_.send(socket_, Slice{buffer, 0, static_cast<std::uint32_t>(part)}, deadline))
        co_return false;
      bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(part));
    }
    co_return true;
  }
  // The type of the next frame; nothing when the server has closed, or says nothing for so long.
  Task<std::optional<std::uint8_t>> receive(Duration patience) {
    const MonotonicTime deadline = reactor_.now() + patience;
    std::optional<Preamble> preamble;
    while (!preamble || received_.size() < preamble->frame_size()) {
      if (!preamble && received_.size() >= k_preamble_size) {
        if (is_http_answer()) co_return std::nullopt;
        const auto decoded = decode_preamble(received_, k_frame_size_max);
        CHECK(decoded, "the server sent no frame: {}", decoded.error().message);
        preamble = *decoded;
        continue;
      }
      Buffer buffer = *reactor_.buffers().acquire(64_KiB);
      const auto count = co_await reactor_.receive(socket_, Slice{buffer, 0, 64_KiB}, deadline);
      if (!count || *count == 0) co_return std::nullopt;
      received_.insert(received_.end(), buffer.data(), buffer.data() + *count);
    }
    const auto table = std::span(received_).subspan(k_preamble_size, preamble->table_length);
    CHECK(check_frame(received_, table), "the server sent a frame of another checksum");
    received_.erase(received_.begin(),
                    received_.begin() + static_cast<std::ptrdiff_t>(preamble->frame_size()));
    co_return preamble->type;
  }

 private:
  [[nodiscard]] bool is_http_answer() const {
    return std::memcmp(received_.data(), k_http_answer.data(), k_http_answer.size()) == 0;
  }

  Reactor& reactor_;
  Socket socket_;
  Bytes received_;
};

Task<Connection> connect(Reactor& reactor, Address server) {
  auto socket = co_await reactor.connect(server, reactor.now() + std::chrono::seconds(10));
  CHECK(socket, "the server takes no connection: {}", socket.error().message);
  co_return Connection(reactor, *std::move(socket));
}

Task<void> expect_answer(Connection& connection, Bytes frame, FrameType type) {
  CHECK(co_await connection.send(std::move(frame)));
  const auto answer = co_await connection.receive(std::chrono::seconds(30));
  CHECK(answer == answer_to(type), "no answer to request {}", number(type));
}

Task<void> send_all(Reactor& reactor, Address server, Input& input) {
  const bool greeted = (input.take<std::uint8_t>() & 1) == 0;
  Connection stranger = co_await connect(reactor, server);
  if (greeted) co_await expect_answer(stranger, hello(), FrameType::hello);
  for (std::size_t i = 0; i < k_pieces_max && !input.empty(); ++i) {
    auto piece = take_piece(input);
    if (!piece) {
      co_await reactor.sleep(std::chrono::milliseconds(50));
    } else if (!co_await stranger.send(*std::move(piece))) {
      break;
    }
  }
  while (co_await stranger.receive(std::chrono::seconds(2))) {
  }
}

// What one client does harms no other.
Task<void> talk(Reactor& reactor, Address server, Input& input) {
  Connection friendly = co_await connect(reactor, server);
  co_await expect_answer(friendly, hello(), FrameType::hello);
  co_await expect_answer(friendly, create_topic(), FrameType::create_topic);
  co_await send_all(reactor, server, input);
  co_await expect_answer(friendly, status(), FrameType::status);
}

NodeSetup small_node() {
  NodeSetup setup;
  setup.storage.folder = "data";
  setup.storage.journal_file_size = 1_MiB;
  setup.storage.ballast_size = setup.log.ballast_size = 64_KiB;
  setup.log.cache_bytes = 1_MiB;
  setup.log.unplaced_bytes_max = 16_MiB;
  setup.listen = Address{"0.0.0.0", k_port};
  return setup;
}

// The disk of a server that was started once and stopped, so that inputs do not wait for a folder to be made.
class Machines {
 public:
  Machines() : world_(1), server_(world_.add_node("server")), client_(world_.add_node("client")) {}

  void start() {
    bool started = false;
    NodeSetup setup = small_node();
    setup.started = [&started](const NodeStarted&) { started = true; };
    auto node = std::make_shared<Node>(std::move(setup), 1);
    server_.start(1, [this, node](Reactor& reactor) -> Task<void> {
      result_ = co_await run_node_shard(reactor, *node);
    });
    reach([&] { return started || !server_.running(); });
    CHECK(started, "{}", result_.error().message);
  }
  void stop() {
    server_.terminate();
    reach([&] { return !server_.running(); });
    CHECK(result_, "the node ended with: {}", result_.error().message);
  }
  void talk_with(Input& input) {
    const SimEnd end =
        world_.run(client_, [&](Reactor& reactor) { return talk(reactor, server_.address(k_port), input); });
    CHECK(end == SimEnd::reached, "{}: {}", name(end), world_.waiting());
  }
  [[nodiscard]] SimDisk& disk() { return server_.disk(); }

 private:
  void reach(const std::function<bool()>& there) {
    const SimEnd end = world_.run_until(there, std::chrono::minutes(5));
    CHECK(end == SimEnd::reached, "{}: {}", name(end), world_.waiting());
  }
  SimWorld world_;
  SimNode& server_;
  SimNode& client_;
  Result<void> result_;
};

const SimDisk::Image& empty_folder() {
  static const SimDisk::Image image = [] {
    Machines machines;
    machines.start();
    machines.stop();
    return machines.disk().image();
  }();
  return image;
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millrace::fuzz;
  Input input(data, size);
  Machines machines;
  machines.disk().restore(empty_folder());
  machines.start();
  machines.talk_with(input);
  machines.stop();
  return 0;
}

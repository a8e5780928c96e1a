// Peer: a client of the server made of bytes: what it sends and gets is what the protocol's page says, with
// none of the client library between.
#pragma once

#include <cstdint>
#include <flatbuffers/flatbuffers.h>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "engine/wire/frame.h"
#include "engine/wire/protocol_generated.h"
#include "engine/wire/table.h"
#include "engine/wire/wire_id.h"
#include "net/topic_table.h"

namespace millrace::test {

using Bytes = std::vector<std::byte>;
[[nodiscard]] Bytes bytes_of(std::string_view text);

// A frame as it came; type 0: the stream has ended instead.
struct Frame {
  Preamble preamble;
  Bytes table;
  Bytes payload;
  [[nodiscard]] bool ended() const { return preamble.type == 0; }
  // The table, when the frame is the answer to `type`; else null, and the test has failed.
  template <class T>
  [[nodiscard]] const T* answer(FrameType type) const {
    if (!is(answer_to(type))) return nullptr;
    return flatbuffers::GetRoot<T>(table.data());
  }
  // The code of an error frame; else the test has failed.
  [[nodiscard]] ErrorCode error() const;
  [[nodiscard]] std::string error_message() const;
  [[nodiscard]] const wire::Error* error_table() const;

 private:
  [[nodiscard]] bool is(std::uint8_t type) const;
};

// One record in a batch.
[[nodiscard]] Bytes batch_of(std::string_view value, std::int64_t timestamp = 1);
// A batch of at least `size` bytes.
[[nodiscard]] Bytes large_batch(std::size_t size);
// Its header says that its records are of the far future: a search by timestamp has to look at them.
[[nodiscard]] Bytes batch_with_a_false_header(std::size_t size);
// The values of all records in a fetch's payload, in order.
[[nodiscard]] std::vector<std::string> values_of(const Bytes& entries);

class Peer {
 public:
  // Connects; says hello unless told not to. Fails the test when it cannot.
  static Task<Peer> connect(Reactor& reactor, Address server);
  static Task<Peer> greeted(Reactor& reactor, Address server);

  // ---- bytes
  // Sends the bytes as they are; false when the server has closed.
  Task<bool> send(Bytes bytes);
  Task<Frame> receive();
  // Everything until the server closes.
  Task<std::string> receive_text();
  Task<void> close();

  // ---- frames
  [[nodiscard]] static Bytes frame(FrameType type, std::uint64_t correlation,
                                   const flatbuffers::FlatBufferBuilder& table, const Bytes& payload = {});
  using Build = std::function<void(flatbuffers::FlatBufferBuilder&)>;
  // Sends a request and gives the next frame; its correlation is checked.
  Task<Frame> ask(FrameType type, Build build, Bytes payload = {});

  // ---- requests
  Task<Frame> create(std::string name, std::uint32_t partitions = 1);
  Task<Frame> remove(std::string name);
  Task<Frame> describe(std::string name);
  Task<Frame> produce(std::string topic, Bytes batch, std::uint32_t partition = 0,
                      wire::Ack ack = wire::Ack::durable);
  struct FetchBounds {
    std::uint32_t partition = 0;
    std::uint32_t min_bytes = 1;
    std::uint32_t max_bytes = 1u << 20;
    std::uint32_t max_wait_ms = 0;
  };
  Task<Frame> fetch(std::string topic, std::int64_t offset, FetchBounds bounds);
  Task<Frame> list_offsets(std::string topic, wire::OffsetSpec spec, std::int64_t timestamp = 0);
  Task<Frame> trim(std::string topic, std::int64_t before);
  // The value of a counter in the server's status.
  Task<std::uint64_t> counter(std::string name);

  [[nodiscard]] static Bytes produce_frame(std::uint64_t correlation, std::string_view topic,
                                           const Bytes& batch, std::uint32_t partition = 0,
                                           wire::Ack ack = wire::Ack::durable);
  [[nodiscard]] static Bytes create_frame(std::uint64_t correlation, std::string_view topic,
                                          std::uint32_t deadline_ms = 0);
  [[nodiscard]] static Bytes delete_frame(std::uint64_t correlation, std::string_view topic,
                                          std::uint32_t deadline_ms);
  [[nodiscard]] static Bytes search_frame(std::uint64_t correlation, std::string_view topic,
                                          std::int64_t timestamp);
  [[nodiscard]] static Bytes hello_frame(std::uint64_t correlation = 1);

 private:
  Peer(Reactor& reactor, Socket socket) : reactor_(&reactor), socket_(std::move(socket)) {}
  Task<bool> fill(std::size_t size);

  Reactor* reactor_;
  Socket socket_;
  Bytes received_;
  std::uint64_t correlation_ = 100;
};

}  // namespace millrace::test

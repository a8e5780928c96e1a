#include "tests/net/server_peer.h"

#include <cstring>
#include <gtest/gtest.h>

#include "engine/base/batch_builder.h"
#include "engine/base/checksum.h"
#include "engine/base/endian.h"
#include "engine/base/entry_header.h"
#include "engine/base/record_batch.h"
#include "engine/base/record_reader.h"

namespace millrace::test {
namespace {

Bytes to_bytes(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

}  // namespace

Bytes bytes_of(std::string_view text) {
  return to_bytes(std::as_bytes(std::span(text)));
}

bool Frame::is(std::uint8_t type) const {
  EXPECT_EQ(preamble.type, type) << (preamble.type == number(FrameType::error) ? error_message()
                                                                               : "another frame");
  return preamble.type == type;
}

const wire::Error* Frame::error_table() const {
  return is(number(FrameType::error)) ? flatbuffers::GetRoot<wire::Error>(table.data()) : nullptr;
}

ErrorCode Frame::error() const {
  const auto* error = error_table();
  return error == nullptr ? ErrorCode{} : static_cast<ErrorCode>(error->code());
}

std::string Frame::error_message() const {
  return flatbuffers::GetRoot<wire::Error>(table.data())->message()->str();
}

Bytes batch_of(std::string_view value, std::int64_t timestamp) {
  BufferPool pool({.bytes_max = 64_MiB, .idle_bytes_max = 0});
  RecordBatchBuilder builder(pool);
  RecordView record;
  record.timestamp = timestamp;
  record.value = std::as_bytes(std::span(value));
  EXPECT_EQ(builder.append(record), BatchAppend::appended);
  return to_bytes(builder.finish()->bytes());
}

Bytes large_batch(std::size_t size) {
  return batch_of(std::string(size, 'x'));
}

Bytes batch_with_a_false_header(std::size_t size) {
  Bytes batch = large_batch(size);
  store_be<std::int64_t>(batch.data() + 35, std::int64_t{1} << 50);
  store_be<std::uint32_t>(batch.data() + 17, crc32c(std::span(batch).subspan(k_batch_crc_begin)));
  return batch;
}

std::vector<std::string> values_of(const Bytes& entries) {
  std::vector<std::string> values;
  for (std::span<const std::byte> rest = entries; !rest.empty();) {
    const auto header = decode_entry_header(rest);
    EXPECT_TRUE(header) << "an entry that is none";
    if (!header) break;
    const std::uint32_t size = entry_size(header->batch_length);
    if (header->type == EntryType::batch) {
      const auto bytes = rest.subspan(k_batch_offset_in_entry, size - k_batch_offset_in_entry);
      const auto batch = verify_batch(bytes);
      EXPECT_TRUE(batch) << batch.error().message;
      RecordReader reader(*batch, bytes.subspan(k_batch_header_size));
      RecordView record;
      while (*reader.next(record)) {
        values.emplace_back(reinterpret_cast<const char*>(record.value->data()), record.value->size());
      }
    }
    rest = rest.subspan(padded_size(size));
  }
  return values;
}

Task<Peer> Peer::connect(Reactor& reactor, Address server) {
  auto socket = co_await reactor.connect(server);
  EXPECT_TRUE(socket) << socket.error().message;
  co_return Peer(reactor, *std::move(socket));
}

Task<Peer> Peer::greeted(Reactor& reactor, Address server) {
  Peer peer = co_await connect(reactor, server);
  co_await peer.send(hello_frame());
  const Frame answer = co_await peer.receive();
  EXPECT_NE(answer.answer<wire::HelloAnswer>(FrameType::hello), nullptr);
  co_return peer;
}

Task<bool> Peer::send(Bytes bytes) {
  constexpr std::size_t k_piece = 1_MiB;
  for (std::size_t at = 0; at < bytes.size(); at += k_piece) {
    const std::size_t size = std::min(k_piece, bytes.size() - at);
    Buffer buffer = *reactor_->buffers().acquire(size);
    std::memcpy(buffer.data(), bytes.data() + at, size);
    if (!co_await reactor_->send(socket_, Slice{buffer, 0, static_cast<std::uint32_t>(size)}))
      co_return false;
  }
  co_return true;
}

Task<bool> Peer::fill(std::size_t size) {
  while (received_.size() < size) {
    Buffer buffer = *reactor_->buffers().acquire(64_KiB);
    const auto count = co_await reactor_->receive(socket_, Slice{buffer, 0, buffer.capacity()});
    if (!count || *count == 0) co_return false;
    const auto bytes = buffer.bytes().first(*count);
    received_.insert(received_.end(), bytes.begin(), bytes.end());
  }
  co_return true;
}

Task<Frame> Peer::receive() {
  Frame frame;
  if (!co_await fill(k_preamble_size)) co_return frame;
  const auto preamble = decode_preamble(received_, UINT32_MAX);
  EXPECT_TRUE(preamble) << preamble.error().message;
  if (!preamble || !co_await fill(preamble->frame_size())) co_return frame;
  const auto begin = received_.begin();
  const auto table = begin + k_preamble_size;
  const auto payload = table + preamble->table_length;
  const auto end = payload + preamble->payload_length;
  frame = {*preamble, Bytes(table, payload), Bytes(payload, end)};
  EXPECT_TRUE(check_frame(received_, frame.table));
  received_.erase(begin, end);
  co_return frame;
}

Task<std::string> Peer::receive_text() {
  while (co_await fill(received_.size() + 1)) {
  }
  co_return std::string(reinterpret_cast<const char*>(received_.data()), received_.size());
}

Task<void> Peer::close() {
  static_cast<void>(co_await reactor_->shutdown(socket_));
}

Bytes Peer::frame(FrameType type, std::uint64_t correlation, const flatbuffers::FlatBufferBuilder& table,
                  const Bytes& payload) {
  Bytes bytes(k_preamble_size + table.GetSize());
  encode_frame(number(type), correlation, table_bytes(table), static_cast<std::uint32_t>(payload.size()),
               bytes);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

Task<Frame> Peer::ask(FrameType type, Build build, Bytes payload) {
  flatbuffers::FlatBufferBuilder builder;
  build(builder);
  const std::uint64_t correlation = ++correlation_;
  co_await send(frame(type, correlation, builder, payload));
  Frame answer = co_await receive();
  EXPECT_FALSE(answer.ended()) << "the server closed instead of answering";
  EXPECT_EQ(answer.preamble.correlation, correlation);
  co_return answer;
}

Bytes Peer::hello_frame(std::uint64_t correlation) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateHello(builder, 1, 1, 0, builder.CreateString("test")));
  return frame(FrameType::hello, correlation, builder);
}

namespace {
flatbuffers::Offset<wire::Partition> name_partition(flatbuffers::FlatBufferBuilder& builder,
                                                    std::string_view topic, std::uint32_t partition) {
  return wire::CreatePartition(builder, builder.CreateString(topic.data(), topic.size()), nullptr, partition);
}
}  // namespace

Bytes Peer::produce_frame(std::uint64_t correlation, std::string_view topic, const Bytes& batch,
                          std::uint32_t partition, wire::Ack ack) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateProduce(builder, name_partition(builder, topic, partition), ack));
  return frame(FrameType::produce, correlation, builder, batch);
}

Bytes Peer::create_frame(std::uint64_t correlation, std::string_view topic, std::uint32_t deadline_ms) {
  flatbuffers::FlatBufferBuilder builder;
  const auto name = builder.CreateString(topic);
  builder.Finish(wire::CreateCreateTopic(builder, name, 1, 0, deadline_ms));
  return frame(FrameType::create_topic, correlation, builder);
}

Bytes Peer::delete_frame(std::uint64_t correlation, std::string_view topic, std::uint32_t deadline_ms) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateDeleteTopic(builder, builder.CreateString(topic), nullptr, deadline_ms));
  return frame(FrameType::delete_topic, correlation, builder);
}

Bytes Peer::search_frame(std::uint64_t correlation, std::string_view topic, std::int64_t timestamp) {
  flatbuffers::FlatBufferBuilder builder;
  const auto of = name_partition(builder, topic, 0);
  builder.Finish(wire::CreateListOffsets(builder, of, wire::OffsetSpec::timestamp, timestamp));
  return frame(FrameType::list_offsets, correlation, builder);
}

Task<Frame> Peer::create(std::string name, std::uint32_t partitions) {
  return ask(FrameType::create_topic, [=](auto& builder) {
    builder.Finish(wire::CreateCreateTopic(builder, builder.CreateString(name), partitions));
  });
}

Task<Frame> Peer::remove(std::string name) {
  return ask(FrameType::delete_topic, [=](auto& builder) {
    builder.Finish(wire::CreateDeleteTopic(builder, builder.CreateString(name)));
  });
}

Task<Frame> Peer::describe(std::string name) {
  return ask(FrameType::describe_topic, [=](auto& builder) {
    builder.Finish(wire::CreateDescribeTopic(builder, builder.CreateString(name)));
  });
}

Task<Frame> Peer::produce(std::string topic, Bytes batch, std::uint32_t partition, wire::Ack ack) {
  return ask(
      FrameType::produce,
      [=](auto& builder) {
        builder.Finish(wire::CreateProduce(builder, name_partition(builder, topic, partition), ack));
      },
      std::move(batch));
}

Task<Frame> Peer::fetch(std::string topic, std::int64_t offset, FetchBounds bounds) {
  return ask(FrameType::fetch, [=](auto& builder) {
    builder.Finish(wire::CreateFetch(builder, name_partition(builder, topic, bounds.partition), offset,
                                     bounds.min_bytes, bounds.max_bytes, bounds.max_wait_ms));
  });
}

Task<Frame> Peer::list_offsets(std::string topic, wire::OffsetSpec spec, std::int64_t timestamp) {
  return ask(FrameType::list_offsets, [=](auto& builder) {
    builder.Finish(wire::CreateListOffsets(builder, name_partition(builder, topic, 0), spec, timestamp));
  });
}

Task<Frame> Peer::trim(std::string topic, std::int64_t before) {
  return ask(FrameType::trim, [=](auto& builder) {
    builder.Finish(wire::CreateTrim(builder, name_partition(builder, topic, 0), before));
  });
}

Task<std::uint64_t> Peer::counter(std::string name) {
  const Frame frame =
      co_await ask(FrameType::status, [](auto& builder) { builder.Finish(wire::CreateStatus(builder)); });
  const auto* status = frame.answer<wire::StatusAnswer>(FrameType::status);
  if (status == nullptr) co_return 0;
  for (const auto* counter : *status->counters()) {
    if (counter->name()->string_view() == name) co_return counter->value();
  }
  ADD_FAILURE() << "no counter " << name;
  co_return 0;
}

}  // namespace millrace::test

#include "tests/net/client_fake_server.h"

#include <cstring>

#include "engine/base/checksum.h"
#include "engine/base/compression.h"
#include "engine/base/entry_header.h"
#include "engine/base/record_batch.h"
#include "engine/base/record_reader.h"
#include "engine/wire/protocol_generated.h"
#include "engine/wire/table.h"

namespace millrace::test {
namespace {

using Fields = flatbuffers::FlatBufferBuilder;

std::string text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
ByteView bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string finished(Fields& fields) {
  return text(table_bytes(fields));
}

std::string error_table(ErrorCode code, const std::string& message) {
  Fields fields;
  fields.Finish(wire::CreateError(fields, static_cast<std::uint16_t>(code), fields.CreateString(message),
                                  retryable(code)));
  return finished(fields);
}

std::string produce_table(std::int64_t base_offset) {
  Fields fields;
  fields.Finish(wire::CreateProduceAnswer(fields, base_offset, 1, wire::Ack::durable, 0));
  return finished(fields);
}

std::string padded(std::string entry) {
  entry.resize(padded_size(static_cast<std::uint32_t>(entry.size())), '\0');
  return entry;
}

}  // namespace

Task<bool> FakeServer::send_frame(Reactor& reactor, Socket socket, std::uint8_t type,
                                  std::uint64_t correlation, std::string table, std::string payload) {
  auto buffer = reactor.buffers().acquire(k_preamble_size + table.size() + payload.size());
  CHECK(buffer, "{}", buffer.error().message);
  const auto payload_length = static_cast<std::uint32_t>(payload.size());
  const std::uint32_t head = encode_frame(type, correlation, bytes(table), payload_length, buffer->bytes());
  std::memcpy(buffer->data() + head, payload.data(), payload.size());
  co_await sending_->lock();
  const auto sent = co_await reactor.send(socket, Slice{*buffer, 0, head + payload_length});
  sending_->unlock();
  co_return sent.has_value();
}

Task<void> FakeServer::serve(Reactor& reactor) {
  sending_ = std::make_unique<Mutex>(reactor);
  const auto listener = co_await reactor.listen({"0.0.0.0", 7420});
  CHECK(listener, "{}", listener.error().message);
  for (;;) {
    auto socket = co_await reactor.accept(*listener);
    if (!socket) co_return;
    reactor.spawn(serve_connection(reactor, *std::move(socket), connections_++));
  }
}

Task<void> FakeServer::serve_connection(Reactor& reactor, Socket socket, std::uint64_t connection) {
  FrameReader reader(reactor, socket);
  for (bool open = true; open;) {
    auto frame = co_await reader.next();
    while (connection < unread_) static_cast<void>(co_await reactor.sleep(std::chrono::milliseconds(1)));
    open = frame && co_await answer(reactor, socket, *std::move(frame));
  }
  static_cast<void>(co_await reactor.shutdown(socket));
}

Task<bool> FakeServer::answer(Reactor& reactor, Socket socket, ReceivedFrame frame) {
  const std::uint64_t correlation = frame.preamble.correlation;
  const auto type = static_cast<FrameType>(frame.preamble.type);
  Fields fields;
  std::string payload;
  switch (type) {
    case FrameType::hello:
      if (hello_error != 0) {
        const std::string refused = error_table(*error_code(hello_error), "not you");
        co_await send_frame(reactor, socket, number(FrameType::error), correlation, refused);
        co_return false;
      }
      fields.Finish(wire::CreateHelloAnswer(fields, 1, 0, nullptr, 1, k_frame_size_max,
                                            requests_in_flight_max, fields.CreateString("fake 1.0")));
      break;
    case FrameType::produce:
      co_return co_await answer_produce(reactor, socket, std::move(frame));
    case FrameType::describe_topic: {
      const auto topic =
          wire::CreateTopicDescription(fields, fields.CreateString("events"), nullptr, partitions);
      std::vector<flatbuffers::Offset<wire::PartitionState>> states;
      for (std::uint32_t i = 0; i < partitions; ++i) states.push_back(wire::CreatePartitionState(fields, i));
      fields.Finish(wire::CreateDescribeTopicAnswer(fields, topic, fields.CreateVector(states)));
      break;
    }
    case FrameType::fetch: {
      const auto request = verified<wire::Fetch>(frame.table.bytes());
      const bool news = (*request)->offset() < end;
      if (news) payload = entries;
      if (!news)
        static_cast<void>(co_await reactor.sleep(std::chrono::milliseconds((*request)->max_wait_ms())));
      fields.Finish(wire::CreateFetchAnswer(fields, news ? end : (*request)->offset(), 0, end, end, 1));
      break;
    }
    case FrameType::list_offsets: {
      // A search that takes as long as it may.
      const auto request = verified<wire::ListOffsets>(frame.table.bytes());
      static_cast<void>(co_await reactor.sleep(std::chrono::milliseconds((*request)->deadline_ms())));
      co_return co_await send_frame(reactor, socket, number(FrameType::error), correlation,
                                    error_table(ErrorCode::timed_out, "not found up to offset 5"));
    }
    case FrameType::init_producer:
      fields.Finish(wire::CreateInitProducerAnswer(fields, next_producer_++));
      break;
    case FrameType::list_topics:
      fields.Finish(wire::CreateListTopicsAnswer(fields));
      break;
    default:
      co_return co_await send_frame(reactor, socket, number(FrameType::error), correlation,
                                    error_table(ErrorCode::unknown_topic, "no such topic"));
  }
  co_return co_await send_frame(reactor, socket, answer_to(type), correlation, finished(fields),
                                std::move(payload));
}

Task<bool> FakeServer::answer_produce(Reactor& reactor, Socket socket, ReceivedFrame frame) {
  const Reply reply = on_produce(produces_++);
  const std::uint64_t correlation = frame.preamble.correlation;
  const auto refuse = [&](ErrorCode code, const char* message) {
    return send_frame(reactor, socket, number(FrameType::error), correlation, error_table(code, message));
  };
  if (reply == Reply::refuse) co_return co_await refuse(ErrorCode::disk_full, "full");
  if (reply == Reply::stop) co_return co_await refuse(ErrorCode::shutting_down, "stopping");
  const auto request = verified<wire::Produce>(frame.table.bytes());
  if (reply == Reply::wait) {
    reactor.spawn(refuse_at_deadline(reactor, socket, (*request)->deadline_ms(), correlation));
    co_return true;
  }
  const auto header = check_batch(frame.payload.bytes());
  CHECK(header, "the client sent a bad batch: {}", header.error().message);
  const auto original = check_producer(*header);
  if (!original) co_return co_await refuse(original.error(), "no");
  const std::int64_t base_offset = original->value_or(end);
  if (!*original) {
    batches_.push_back(text(frame.payload.bytes()));
    entries += entry_of(batches_.back(), base_offset);
    end += header->offset_count();
  }
  if ((*request)->ack() == wire::Ack::none || reply == Reply::silence) co_return true;
  if (reply == Reply::close) co_return false;
  if (reply == Reply::hold) {
    reactor.spawn(answer_when_released(reactor, socket, produces_ - 1, correlation, base_offset));
    co_return true;
  }
  co_return co_await send_frame(reactor, socket, answer_to(FrameType::produce), correlation,
                                produce_table(base_offset));
}

std::expected<std::optional<std::int64_t>, ErrorCode> FakeServer::check_producer(const BatchHeader& header) {
  if (header.producer_id < 0) return std::nullopt;
  if (!producers_.contains(header.producer_id) && header.base_sequence != 0)
    return std::unexpected(ErrorCode::unknown_producer);
  Producer& known = producers_[header.producer_id];
  if (header.producer_epoch < known.epoch) return std::unexpected(ErrorCode::producer_fenced);
  if (header.producer_epoch > known.epoch) known = {.epoch = header.producer_epoch};
  const auto taken = known.taken.find(header.base_sequence);
  if (taken != known.taken.end()) return taken->second;
  if (header.base_sequence != known.next) return std::unexpected(ErrorCode::out_of_order_sequence);
  known.taken[header.base_sequence] = end;
  known.next = sequence_after(known.next, header.offset_count());
  return std::nullopt;
}

Task<void> FakeServer::refuse_at_deadline(Reactor& reactor, Socket socket, std::uint32_t deadline_ms,
                                          std::uint64_t correlation) {
  static_cast<void>(co_await reactor.sleep(
      std::chrono::milliseconds(deadline_ms == 0 ? k_request_deadline_ms : deadline_ms)));
  co_await send_frame(reactor, socket, number(FrameType::error), correlation,
                      error_table(ErrorCode::overloaded, "no room"));
}

Task<void> FakeServer::answer_when_released(Reactor& reactor, Socket socket, std::uint64_t request,
                                            std::uint64_t correlation, std::int64_t base_offset) {
  while (released_ <= request) static_cast<void>(co_await reactor.sleep(std::chrono::milliseconds(1)));
  co_await send_frame(reactor, socket, answer_to(FrameType::produce), correlation,
                      produce_table(base_offset));
}

std::vector<std::string> FakeServer::values() const {
  std::vector<std::string> values;
  Inflater inflater;
  std::vector<std::byte> inflated;
  for (const std::string& batch : batches_) {
    const auto header = verify_batch(bytes(batch));
    RecordReader reader(*header, *inflater.inflate_records(*header, bytes(batch), inflated));
    RecordView record;
    while (*reader.next(record)) values.push_back(text(*record.value));
  }
  return values;
}

std::string entry_of(const std::string& batch, std::int64_t base_offset) {
  const auto header = decode_batch_header(bytes(batch).first<k_batch_header_size>());
  std::string entry(k_batch_offset_in_entry, '\0');
  entry += batch;
  EntryHeader fields;
  fields.index = Index{1};
  fields.group = GroupId{7};
  fields.offset_count = header.offset_count();
  fields.base_offset = Offset{base_offset};
  fields.batch_length = header.length;
  fields.term = Term{1};
  fields.payload_checksum = xxh3(bytes(entry).subspan(k_entry_header_size));
  encode(fields, std::as_writable_bytes(std::span(entry)).first<k_entry_header_size>());
  return padded(std::move(entry));
}

std::string internal_entry(std::int64_t next_offset) {
  std::string entry(k_entry_header_size, '\0');
  EntryHeader fields;
  fields.index = Index{1};
  fields.group = GroupId{7};
  fields.type = EntryType::no_op;
  fields.base_offset = Offset{next_offset};
  fields.term = Term{1};
  fields.payload_checksum = xxh3({});
  encode(fields, std::as_writable_bytes(std::span(entry)).first<k_entry_header_size>());
  return padded(std::move(entry));
}

}  // namespace millrace::test

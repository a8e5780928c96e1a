// FakeServer: a server of the native protocol in a few lines, for tests of the client library: it keeps one
// partition in memory and misbehaves as told.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/record_batch.h"
#include "engine/reactor/mutex.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "net/client/frame_reader.h"

namespace millrace::test {

// What becomes of a produce request.
enum class Reply : std::uint8_t {
  answer,   // taken and answered
  refuse,   // answered with disk_full
  wait,     // not taken, and answered with overloaded at the request's own deadline
  stop,     // answered with shutting_down
  silence,  // taken, never answered
  close,    // taken, and the connection is closed
  hold,     // taken, answered when release() is called
};

class FakeServer {
 public:
  // Asked for each produce request, with its number from 0.
  std::function<Reply(std::uint64_t)> on_produce = [](std::uint64_t) { return Reply::answer; };
  std::uint32_t requests_in_flight_max = 1024;
  std::uint32_t partitions = 1;
  // An error frame instead of the hello's answer, if not 0.
  std::uint16_t hello_error = 0;

  // Serves on port 7420 of the reactor's node, for ever.
  Task<void> serve(Reactor& reactor);
  // Forgets what it knows of all producers.
  void forget_producers() { producers_.clear(); }
  // Ids given to producers.
  [[nodiscard]] std::int64_t producers() const { return next_producer_; }
  // Answers what is held, soon.
  void release() { released_ = produces_; }
  // Takes nothing more from the connections made so far, closed ones among them, until read_on(): what comes
  // lies in their sockets.
  void stop_reading() { unread_ = connections_; }
  void read_on() { unread_ = 0; }

  [[nodiscard]] std::uint64_t produces() const { return produces_; }
  [[nodiscard]] std::uint64_t connections() const { return connections_; }
  // The partition: batches as they came, with base offset 0.
  [[nodiscard]] const std::vector<std::string>& batches() const { return batches_; }
  // Values of all records in it, in order.
  [[nodiscard]] std::vector<std::string> values() const;
  // The partition as entries, for fetches; grows with each batch, and tests may append what they like.
  std::string entries;
  std::int64_t end = 0;

 private:
  Task<void> serve_connection(Reactor& reactor, Socket socket, std::uint64_t connection);
  // False: the connection is over.
  Task<bool> answer(Reactor& reactor, Socket socket, ReceivedFrame frame);
  // What it knows of a producer: much simpler than producers.h.
  struct Producer {
    std::int16_t epoch = 0;
    std::int32_t next = 0;
    std::map<std::int32_t, std::int64_t> taken{};  // first sequence -> offset
  };
  // The offset of a batch that is there already; or an error.
  [[nodiscard]] std::expected<std::optional<std::int64_t>, ErrorCode> check_producer(
      const BatchHeader& header);
  Task<bool> answer_produce(Reactor& reactor, Socket socket, ReceivedFrame frame);
  Task<void> refuse_at_deadline(Reactor& reactor, Socket socket, std::uint32_t deadline_ms,
                                std::uint64_t correlation);
  Task<void> answer_when_released(Reactor& reactor, Socket socket, std::uint64_t request,
                                  std::uint64_t correlation, std::int64_t base_offset);
  Task<bool> send_frame(Reactor& reactor, Socket socket, std::uint8_t type, std::uint64_t correlation,
                        std::string table, std::string payload = {});

  std::map<std::int64_t, Producer> producers_;
  std::int64_t next_producer_ = 0;
  std::vector<std::string> batches_;
  std::uint64_t produces_ = 0;
  std::uint64_t connections_ = 0;
  std::uint64_t released_ = 0;  // requests before this one
  std::uint64_t unread_ = 0;    // connections before this one
  std::unique_ptr<Mutex> sending_;
};

// One record batch as an entry, with the offset of its first record, padded.
[[nodiscard]] std::string entry_of(const std::string& batch, std::int64_t base_offset);
// An internal entry (a no-op) at this offset.
[[nodiscard]] std::string internal_entry(std::int64_t next_offset);

}  // namespace millrace::test

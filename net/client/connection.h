// ClientConnection: what Client is made of. Calls come in as frames to be sent; one task at a time drives
// them over one connection after another:
//
//   idle -> connecting -> connected (a sender and a receiver) -> broken -> (calls wait) -> connecting, after
//   a pause ...
//             |   ^
//             +---+ an attempt fails: a longer pause
//
// Kept alive by the Client, by its tasks on the reactor, and by everybody who waits for a call.
#pragma once

#include <algorithm>
#include <flatbuffers/flatbuffers.h>
#include <memory>
#include <optional>
#include <string>

#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "engine/reactor/wait.h"
#include "net/client/call_table.h"
#include "net/client/client.h"
#include "net/client/frame_reader.h"

namespace millrace {

class ClientConnection : public std::enable_shared_from_this<ClientConnection> {
 public:
  ClientConnection(Reactor& reactor, ClientOptions options);

  // Empty, for the table of the next call().
  [[nodiscard]] flatbuffers::FlatBufferBuilder& builder();
  // Queues a request whose table is the builder's, and returns its answer.
  // Runs up to the queueing at once when awaited, so that calls are sent in the order in which they were
  // awaited.
  Task<Result<CallAnswer>> call(CallRequest request);
  // The deadline of a call with this timeout, or with the client's if it is zero.
  [[nodiscard]] MonotonicTime deadline(Duration timeout) const;

  void close();

  [[nodiscard]] Reactor& reactor() const { return reactor_; }
  [[nodiscard]] const ClientOptions& options() const { return options_; }
  [[nodiscard]] const ClientCounters& counters() const { return counters_; }
  // Of the connection there is, or nothing.
  [[nodiscard]] const ServerInfo* server() const { return session_ ? &session_->server : nullptr; }

 private:
  using Self = std::shared_ptr<ClientConnection>;
  // One connection, after its hello.
  struct Session {
    Session(Reactor& reactor, const Socket& connected, const Buffer* home)
        : socket(connected), reader(reactor, connected, home), changed(reactor) {}
    Socket socket;
    FrameReader reader;
    ServerInfo server;
    std::uint32_t in_flight = 0;  // requests whose answer is not there, strays among them
    MonotonicTime asked{};        // when the first of these was sent
    std::optional<Error> broken;  // why
    bool receiver_ended = false;
    WaitQueue changed;  // any of these, or new calls
    // Since when the server owes a sign of life, if it owes one.
    [[nodiscard]] MonotonicTime silent_since() const { return std::max(asked, reader.last_received()); }
  };
  class Wait;
  static constexpr std::uint32_t k_staging_size = 64u << 10;

  // connection.cpp: calls and their limits
  void wake();
  void arm(MonotonicTime time);
  static Task<void> alarm(std::weak_ptr<ClientConnection> weak, Reactor& reactor, MonotonicTime time);
  void expire();
  [[nodiscard]] bool is_silent(const CallTable::Call& call) const;
  [[nodiscard]] MonotonicTime limit(const CallTable::Call& call) const;
  [[nodiscard]] Error expired(const CallTable::Call& call) const;
  void fail_waiting(const Error& error);

  // driver.cpp: connections
  static Task<void> drive(Self self);
  Task<Result<std::shared_ptr<Session>>> establish();
  Task<Result<void>> greet(Session& session, MonotonicTime deadline);
  Task<void> rest_after(const Error& error);
  void session_over(Session& session);

  // traffic.cpp: frames of a session
  Task<void> send_all(Session& session);
  static Task<void> receive_all(Self self, std::shared_ptr<Session> session);
  struct Sending;
  Sending gather(Session& session);
  void take_answer(Session& session, ReceivedFrame frame);
  void break_session(Session& session, Error error);

  Reactor& reactor_;
  ClientOptions options_;
  ClientCounters counters_;
  CallTable calls_;
  flatbuffers::FlatBufferBuilder builder_;
  // Kept from connection to connection, so that requests which hold all other memory get one. Heads of
  // frames, side by side, and small payloads; and where answers are received first.
  Buffer staging_;
  Buffer receive_;
  std::shared_ptr<Session> session_;
  WaitQueue work_;  // the driver waits here for a call, or for the end of its pause
  bool driving_ = false;
  bool closed_ = false;
  MonotonicTime armed_ = k_never;
  MonotonicTime disconnected_since_{};
  Duration backoff_{0};
  std::optional<Error> last_failure_;
};

}  // namespace millrace

// ServerConnection: one accepted socket, from hello to close.
//
//   accepted --hello--> serving --the peer closes, a bound is reached, the server stops--> ending --> closed
//      |                   |                                                                 ^
//      +-------------------+--- bytes that are no frame, no hello in time -- error frame ----+
//
// Requests are taken in the order of their frames and begin in that order, so produces to one partition are
// appended in it, also when another shard owns the partition. Answers leave as they get ready, several in one
// send; the correlation says which is which. In `ending`, nothing more is read, requests that were taken are
// finished, and their answers are sent before the socket is closed.
//
// At a bound (limits.h) a connection stops being read until it is below it again, or ends; others do not
// notice.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/reactor/mutex.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "engine/reactor/wait.h"
#include "net/handlers.h"
#include "net/inbound_request.h"
#include "net/reply.h"
#include "net/request_reader.h"
#include "net/send_queue.h"
#include "net/shard_context.h"
#include "net/wire_tables.h"

namespace millrace {

class ServerConnection : public std::enable_shared_from_this<ServerConnection> {
 public:
  ServerConnection(ShardContext& context, Socket socket);
  ServerConnection(const ServerConnection&) = delete;
  ServerConnection& operator=(const ServerConnection&) = delete;
  ~ServerConnection();

  // ---- for the server
  // Returns when the connection has ended. Requests may still be under way then, with nobody to hear of them.
  Task<void> serve();
  // Ends the connection as soon as no request is under way.
  void drain();
  // Ends it now: nothing more is sent.
  void abort();
  // Enforces what depends on time.
  void sweep();
  // Of answers that the peer has not taken yet.
  [[nodiscard]] std::uint64_t bytes_waiting() const { return queue_.bytes(); }
  // Gives up on a peer that does not take its answers.
  void close_slow_reader(const char* why);
  // Since when the send under way goes on, if that is longer than somebody who waits for memory has to bear.
  [[nodiscard]] std::optional<MonotonicTime> sending_stands_still_since() const;
  // Ends it if the payload that it sends stands still while others wait for the memory.
  void press_payload();
  // Since when nothing is under way, no frame either.
  [[nodiscard]] std::optional<MonotonicTime> idle_since() const;
  // Its place is wanted.
  void close_idle(const char* why);

  // ---- for handlers, through Reply
  [[nodiscard]] ShardContext& context() const { return context_; }
  // The peer sends nothing more: it has closed its side, or is gone.
  [[nodiscard]] bool ending() const { return ending_ || peer_has_ended_; }
  // Nothing reaches the peer any more, either, as far as is known.
  [[nodiscard]] bool broken() const { return broken_; }
  // Queues an answer whose table is the context's builder's.
  void send_answer(std::uint8_t type, std::uint64_t correlation, std::span<const Slice> payload);
  // Answers a request with an error, and counts whose it is.
  void fail_request(std::uint64_t correlation, const Error& error, const ErrorDetails& details);
  // Waits until an answer of this size may be made, and counts it as queued until released. False: the
  // connection is gone, and nobody waits for the answer. Connections are given their first in the order in
  // which they ask.
  Task<bool> promise_answer(std::uint64_t bytes);
  void release_promise(std::uint64_t bytes);
  // Waits until AnswerMemory is not full. False: nobody waits for the answer.
  Task<bool> wait_for_room();

 private:
  using Self = std::shared_ptr<ServerConnection>;

  // receiving
  Task<void> receive_requests();
  Task<bool> receive_more();
  // Receives the payload of `frame`, or answers why not. False: the connection ends.
  Task<bool> take_payload(InboundFrame& frame);
  Task<bool> refuse_payload(const InboundFrame& frame, const Error& error);
  [[nodiscard]] Result<void> may_take(const InboundFrame& frame) const;
  Task<bool> wait_below_bounds();
  [[nodiscard]] bool at_a_bound() const;

  // requests
  void take(InboundFrame frame, BudgetShare share);
  void refuse(const InboundFrame& frame, const Error& error);
  void send_error(std::uint64_t correlation, const Error& error, const ErrorDetails& details);
  void refuse_stream(const Error& error);
  void take_hello(const InboundFrame& frame);
  [[nodiscard]] std::optional<Error> refusal_of_hello(const InboundFrame& frame) const;
  static Task<void> run(Self self, InboundRequest request);
  static Task<void> run_heavy(const Reply& reply, InboundRequest& request, Handler handler);
  void request_done();

  // sending
  void start_sending();
  static Task<void> send_all(Self self);
  Task<void> send_once();
  void send_text(std::string_view text);
  [[nodiscard]] bool may_promise(std::uint64_t bytes) const;
  [[nodiscard]] bool try_promise(std::uint64_t bytes);
  Task<bool> promise_first(std::uint64_t bytes);

  // ending
  void end(const char* reason);
  void close_with(const Error& error);
  void finish_if_drained();
  void lose();
  [[nodiscard]] bool overdue(MonotonicTime since, std::uint64_t bytes) const;

  ShardContext& context_;
  Reactor& reactor_;
  Socket socket_;
  std::string peer_;
  RequestReader reader_;
  SendQueue queue_;
  WaitQueue changed_;  // anything that somebody here may wait for

  bool greeted_ = false;
  bool draining_ = false;
  bool ending_ = false;          // nothing more is read
  bool broken_ = false;          // nothing more can be sent
  bool holding_ = false;         // the peer waits for us, not we for it: its frame's time does not run
  bool peer_has_ended_ = false;  // seen while `holding_`: what it has sent before is still read
  bool sending_ = false;
  std::uint32_t in_flight_ = 0;
  Mutex promising_;
  std::uint64_t promised_ = 0;
  MonotonicTime accepted_;
  MonotonicTime last_activity_;
  MonotonicTime send_started_{};
  std::uint64_t send_size_ = 0;
};

}  // namespace millrace

// Server: one shard's listener and its connections.
//
//   start() -> accepting -> stop(): accepts no more, refuses new requests, finishes those it has taken ->
//   stopped
//                       \-> abort(): closes everything at once
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "engine/reactor/address.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "engine/reactor/wait.h"
#include "net/background.h"
#include "net/connection.h"
#include "net/shard_context.h"

namespace millrace {

class Server {
 public:
  explicit Server(ShardContext& context);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // After stop() or abort() has returned, or with its reactor.
  ~Server() = default;

  // Accepts connections from here on, those first that have waited in the listener.
  void start(Socket listener);

  // Accepts no more and answers new requests with shutting_down; returns when all requests that were taken
  // are done and their answers sent, or the drain deadline has passed, and every connection is closed.
  // Requests of this shard's connections may end on other shards, which must not have ended before.
  Task<void> stop();
  // The same without answers: for a node that must not acknowledge anything any more.
  Task<void> abort();

  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

 private:
  Task<void> accept_all();
  void admit(Socket socket);
  Task<void> serve(std::shared_ptr<ServerConnection> connection);
  Task<void> refuse(Socket socket);
  [[nodiscard]] bool make_place();
  Task<void> sweep_all();
  Task<void> press_all();
  void press();
  void shed();
  void take_no_more();
  Task<void> close_all();

  ShardContext& context_;
  Reactor& reactor_;
  Socket listener_;
  Gate gate_;  // connections being served or refused
  std::vector<std::shared_ptr<ServerConnection>> connections_;
  std::uint32_t refusing_ = 0;
  Background accepting_;
  Background sweeping_;
  Background pressing_;
  MonotonicTime no_place_until_{};
};

}  // namespace millrace

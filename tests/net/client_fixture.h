// A client and a fake server in a simulated world.
#pragma once

#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "engine/base/record_reader.h"
#include "engine/reactor/sim_world.h"
#include "net/client/client.h"
#include "tests/net/client_fake_server.h"

namespace millrace::test {

class ClientFixture : public testing::Test {
 protected:
  // Runs `main` on the client's machine, with a client of the fake server, until it returns.
  void run(const std::function<Task<void>(Client&)>& main) {
    if (!server_node_.running()) start_server();
    const SimEnd end = world_.run(client_node_, [this, main](Reactor& reactor) -> Task<void> {
      Client client(reactor, options());
      co_await main(client);
    });
    ASSERT_EQ(end, SimEnd::reached) << world_.waiting();
  }
  void start_server() {
    server_node_.start(1, [this](Reactor& reactor) { return server_.serve(reactor); });
  }
  [[nodiscard]] ClientOptions options() const {
    ClientOptions options = options_;
    options.server = server_node_.address(7420);
    return options;
  }

  SimWorld world_{1};
  SimNode& server_node_ = world_.add_node("server");
  SimNode& client_node_ = world_.add_node("client");
  FakeServer server_;
  ClientOptions options_;
};

[[nodiscard]] inline ByteView view(const std::string& text) {
  return std::as_bytes(std::span(text));
}

[[nodiscard]] inline RecordView record_of(const std::string& value) {
  RecordView record;
  record.value = view(value);
  return record;
}

}  // namespace millrace::test

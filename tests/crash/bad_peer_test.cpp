// What comes to the real server's port from programs that are no client of it. The bounds and answers one by
// one are server_bad_input_test's; this is the whole server on a real network.
#include <arpa/inet.h>
#include <array>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/crash/ledger.h"
#include "tests/crash/load.h"
#include "tests/crash/serving.h"

namespace millrace::test {
namespace {

constexpr int k_deadline_ms = 60'000;

struct BadPeer {
  std::string name;
  std::string bytes;
};

std::vector<BadPeer> bad_peers() {
  using namespace std::string_literals;
  SimRandom random(1);
  std::string garbage(20'000, '\0');
  for (char& byte : garbage) byte = static_cast<char>(random.next());
  return {
      {"garbage", garbage},
      {"zeros", std::string(20'000, '\0')},
      // ClientHello, TLS 1.2: record header, handshake header, version, random...
      {"a TLS hello", "\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03"s + std::string(32, 'r') +
                          "\x00\x00\x02\x13\x01\x01\x00"s},
      {"an HTTP request", "GET / HTTP/1.1\r\nHost: localhost:7420\r\nAccept: */*\r\n\r\n"},
      // ApiVersions, version 0, correlation 1, client "kafka".
      {"a Kafka request", "\x00\x00\x00\x0f\x00\x12\x00\x00\x00\x00\x00\x01\x00\x05kafka"s},
  };
}

// Sends the bytes to the server and returns what it answers until it closes the connection.
std::string answer_to_bytes(const Address& server, const std::string& bytes) {
  const int peer = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(server.port);
  EXPECT_EQ(::inet_pton(AF_INET, server.host.c_str(), &to.sin_addr), 1);
  EXPECT_EQ(::connect(peer, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  // The server may close before it has read all of it.
  static_cast<void>(::send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  std::string answer;
  std::array<char, 4096> buffer;
  for (;;) {
    pollfd readable{.fd = peer, .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, k_deadline_ms) <= 0) {
      ADD_FAILURE() << "the server keeps the connection";
      break;
    }
    const ssize_t count = ::recv(peer, buffer.data(), buffer.size(), 0);
    if (count <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(count));
  }
  ::close(peer);
  return answer;
}

TEST(BadPeer, IsToldAndClosedAndNobodyElseNotices) {
  const TestFolder folder;
  ServerProcess server(folder.path("data"), server_flags(2));
  ASSERT_FALSE(server.address().empty());
  const Address address = *parse_address(server.address());
  SimRandom random(1);
  Ledger ledger;
  std::vector<BadPeer> peers = bad_peers();
  with_client(server, [&](Client& client) -> Task<void> {
    LoadMix mix{.segment_bytes = 256u << 10, .workers = 8, .steps = 50, .producer = {}};
    Load load(client, ledger, random, mix);
    // In the middle of the clients' work.
    std::uint64_t batches = 0;
    load.on_acknowledged = [&] {
      if (++batches % 10 != 0 || peers.empty()) return;
      const BadPeer peer = std::move(peers.back());
      peers.pop_back();
      const std::string answer = answer_to_bytes(address, peer.bytes);
      if (peer.name == "an HTTP request") {
        EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 400"));
      }
    };
    co_await load.run();
    EXPECT_TRUE(peers.empty());
    const auto checked = co_await ledger.check(client, CheckDepth::everything);
    EXPECT_TRUE(checked) << checked.error().message;
    const auto status = co_await client.status();
    EXPECT_TRUE(status);
    if (!status) co_return;
    for (const char* counter : {"closed_bad_frame", "closed_tls", "closed_http", "closed_kafka"}) {
      EXPECT_THAT(status->counters,
                  testing::Contains(testing::AllOf(testing::Field(&CounterValue::name, counter),
                                                   testing::Field(&CounterValue::value, testing::Ge(1u)))));
    }
  });
  errors_after_clean_stop(server);
}

}  // namespace
}  // namespace millrace::test

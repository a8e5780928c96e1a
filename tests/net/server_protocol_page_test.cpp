// docs/protocol.md says how to talk to a server; its worked example is talked to one.
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "engine/base/uuid.h"
#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

// The bytes of every block of that kind: after the position, at most 16 numbers of two digits a line.
std::vector<Bytes> blocks(const std::string& kind) {
  std::ifstream page(std::string(MILLRACE_SOURCE_DIR) + "/docs/protocol.md");
  std::vector<Bytes> found;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      inside = line == "```" + kind;
      if (inside) found.emplace_back();
    } else if (inside) {
      for (std::size_t at = 6; at + 2 <= line.size() && at < 6 + 16 * 3 && line[at] != ' '; at += 3) {
        found.back().push_back(parse_hex(line.substr(at, 2))->front());
      }
    }
  }
  return found;
}

TEST(ServerProtocolPage, TheWorkedExampleWorks) {
  const std::vector<Bytes> requests = blocks("request");
  const std::vector<Bytes> answers = blocks("answer");
  ASSERT_EQ(requests.size(), 3u);
  ASSERT_EQ(answers.size(), 1u);
  ServerStory story;
  story.run([&](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::connect(here, server);
    Frame last;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      co_await peer.send(requests[i]);
      last = co_await peer.receive();
      EXPECT_EQ(last.preamble.correlation, i + 1);
      EXPECT_NE(last.preamble.type, number(FrameType::error));
    }
    const auto preamble = decode_preamble(answers[0], k_frame_size_max);
    EXPECT_TRUE(preamble);
    const auto table = std::span(answers[0]).subspan(k_preamble_size);
    EXPECT_TRUE(check_frame(answers[0], table));
    const auto shown = verified<wire::ProduceAnswer>(table);
    const auto* got = last.answer<wire::ProduceAnswer>(FrameType::produce);
    if (!preamble || !shown || got == nullptr) co_return;
    EXPECT_EQ(preamble->type, last.preamble.type);
    EXPECT_EQ(got->base_offset(), (*shown)->base_offset());
    EXPECT_EQ(got->term(), (*shown)->term());
    EXPECT_EQ(got->reached(), (*shown)->reached());
    EXPECT_EQ(values_of((co_await peer.fetch("orders", 0, {})).payload), std::vector<std::string>{"hello"});
  });
}

// Every error of the program stands on the page, with its number.
TEST(ServerProtocolPage, NamesEveryErrorWithItsNumber) {
  std::ifstream file(std::string(MILLRACE_SOURCE_DIR) + "/docs/protocol.md");
  const std::string page((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  int codes = 0;
  for (std::uint16_t n = 0; n < 1000; ++n) {
    const auto code = error_code(n);
    if (!code) continue;
    ++codes;
    const std::string row = fmt::format("| {} | {} | {}|", n, name(*code), retryable(*code) ? "yes " : "");
    EXPECT_NE(page.find(row), std::string::npos) << row;
  }
  EXPECT_GT(codes, 20);
}

}  // namespace
}  // namespace millrace::test

// The contract of Reactor: sockets and their deadlines.
#include <gmock/gmock.h>

#include "engine/base/limits.h"
#include "tests/reactor/contract_harness.h"

namespace millrace {
namespace {

using testing::HasSubstr;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""h;

TEST_P(ReactorContract, WhatOneSideSendsTheOtherReceives) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    EXPECT_EQ(reactor.peer_address(pair.client), reactor.local_address(pair.server));
    EXPECT_EQ(reactor.local_address(pair.client), reactor.peer_address(pair.server));
    Slices words{slice_of(reactor, "hello, ")};
    words.push(slice_of(reactor, "wire"));
    EXPECT_EQ(must(co_await reactor.send(pair.client, words)), 11U);
    const Slice back = space(reactor, 11);
    co_await receive_all(reactor, pair.server, back);
    EXPECT_EQ(text_of(back, 11), "hello, wire");
    must(co_await reactor.send(pair.server, slice_of(reactor, "yes?")));
    const Slice large = space(reactor, 4096);
    EXPECT_EQ(must(co_await reactor.receive(pair.client, large)), 4U);
    EXPECT_EQ(text_of(large, 4), "yes?");
  });
}

TEST_P(ReactorContract, ASendOfMoreThanTheSocketHoldsGoesOutWholeAndInOrder) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    const Slice sent = pattern(reactor, 8 << 20, 3);
    auto sending = reactor.send(pair.client, sent);
    const Slice got = space(reactor, sent.length);
    co_await receive_all(reactor, pair.server, got);
    EXPECT_EQ(must(co_await sending), 8_MiB);
    EXPECT_TRUE(equal(sent, got));
  });
}

TEST_P(ReactorContract, ReceiveGivesZeroAfterThePeersEnd) {
  run([&](Reactor& reactor) -> Task<void> {
    Pair pair = co_await connected(reactor);
    must(co_await reactor.send(pair.client, slice_of(reactor, "bye")));
    must(co_await reactor.shutdown(pair.client));
    const Slice back = space(reactor, 3);
    co_await receive_all(reactor, pair.server, back);
    EXPECT_EQ(text_of(back, 3), "bye");
    EXPECT_EQ(must(co_await reactor.receive(pair.server, back)), 0U);
  });
}

TEST_P(ReactorContract, AReceiveOfTheWholeSliceTakesItInPieces) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    const Slice sent = pattern(reactor, 1 << 20, 3), into = space(reactor, 1 << 20);
    auto receiving = reactor.receive(pair.server, into, k_never, Amount::all);
    for (std::uint32_t at = 0; at < sent.length; at += 256 << 10) {
      EXPECT_FALSE(receiving.await_ready());
      EXPECT_EQ(must(co_await reactor.send(pair.client, Slice{sent.buffer, at, 256 << 10})), 256_KiB);
      co_await reactor.sleep(1ms);
    }
    EXPECT_EQ(must(co_await receiving), 1_MiB);
    EXPECT_TRUE(equal(into, sent));
    // And goes on where it ended.
    must(co_await reactor.send(pair.client, slice_of(reactor, "next")));
    EXPECT_EQ(must(co_await reactor.receive(pair.server, space(reactor, 4), k_never, Amount::all)), 4U);
  });
}

TEST_P(ReactorContract, AReceiveOfTheWholeSliceEndsWithThePeer) {
  run([&](Reactor& reactor) -> Task<void> {
    Pair pair = co_await connected(reactor);
    const Slice into = space(reactor, 100);
    auto receiving = reactor.receive(pair.server, into, k_never, Amount::all);
    must(co_await reactor.send(pair.client, slice_of(reactor, "half of it")));
    co_await reactor.sleep(1ms);
    pair.client = {};
    EXPECT_EQ(must(co_await receiving), 10U);
    EXPECT_EQ(text_of(into, 10), "half of it");
    EXPECT_EQ(must(co_await reactor.receive(pair.server, into, k_never, Amount::all)), 0U);
  });
}

TEST_P(ReactorContract, AReceiveOfTheWholeSliceEndsAtItsDeadline) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    auto receiving = reactor.receive(pair.server, space(reactor, 100), reactor.now() + 20ms, Amount::all);
    must(co_await reactor.send(pair.client, slice_of(reactor, "half of it")));
    EXPECT_EQ(code_of(co_await receiving), ErrorCode::timed_out);
  });
}

// A reactor may wait first where the last receive has found nothing more.
TEST_P(ReactorContract, ReceivesFindWhatIsThereAndWhatIsToCome) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    for (int i = 0; i < 10; ++i) {
      must(co_await reactor.send(pair.client, slice_of(reactor, "there")));
      co_await receive_all(reactor, pair.server, space(reactor, 5));
      auto receiving = reactor.receive(pair.server, space(reactor, 3));
      must(co_await reactor.send(pair.client, slice_of(reactor, "to come")));
      const std::uint64_t first = must(co_await receiving);
      co_await receive_all(reactor, pair.server, space(reactor, static_cast<std::uint32_t>(7 - first)));
    }
  });
}

TEST_P(ReactorContract, ADroppedSocketIsClosed) {
  run([&](Reactor& reactor) -> Task<void> {
    Pair pair = co_await connected(reactor);
    pair.client = {};
    EXPECT_EQ(must(co_await reactor.receive(pair.server, space(reactor, 10))), 0U);
  });
}

TEST_P(ReactorContract, ThatThePeerHasEndedIsSeenBeforeWhatIsUnread) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    must(co_await reactor.send(pair.client, slice_of(reactor, "bye")));
    const Slice back = space(reactor, 3);
    EXPECT_EQ(must(co_await reactor.receive(pair.server, Slice{back.buffer, back.offset, 1})), 1U);
    EXPECT_FALSE(reactor.peer_has_ended(pair.server));
    must(co_await reactor.shutdown(pair.client));
    while (!reactor.peer_has_ended(pair.server)) co_await reactor.sleep(1ms);
    EXPECT_EQ(must(co_await reactor.receive(pair.server, back, k_never, Amount::all)), 2U);
    EXPECT_EQ(text_of(back, 2), "ye");
    EXPECT_TRUE(reactor.peer_has_ended(pair.server));
  });
}

TEST_P(ReactorContract, ShutdownEndsAWaitingReceive) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    auto receiving = reactor.receive(pair.server, space(reactor, 10));
    co_await reactor.sleep(1ms);
    must(co_await reactor.shutdown(pair.server));
    const auto result = co_await receiving;
    EXPECT_TRUE(result ? *result == 0 : result.error().code == ErrorCode::connection_lost);
  });
}

TEST_P(ReactorContract, ShutdownEndsAWaitingAcceptAndThoseToCome) {
  run([&](Reactor& reactor) -> Task<void> {
    const Socket listener = must(co_await reactor.listen({"127.0.0.1", 0}));
    auto accepting = reactor.accept(listener);
    co_await reactor.sleep(1ms);
    must(co_await reactor.shutdown(listener));
    EXPECT_EQ(code_of(co_await accepting), ErrorCode::cancelled);
    EXPECT_EQ(code_of(co_await reactor.accept(listener)), ErrorCode::cancelled);
  });
}

TEST_P(ReactorContract, SendingToAPeerThatIsGoneFailsInTheEnd) {
  run([&](Reactor& reactor) -> Task<void> {
    Pair pair = co_await connected(reactor);
    pair.server = {};
    const Slice bytes = pattern(reactor, 64 << 10, 1);
    ErrorCode code{};
    for (int i = 0; i < 1000 && code == ErrorCode{}; ++i) {
      code = code_of(co_await reactor.send(pair.client, bytes));
      co_await reactor.sleep(1ms);
    }
    EXPECT_EQ(code, ErrorCode::connection_lost);
  });
}

TEST_P(ReactorContract, ConnectToNobodyIsUnavailable) {
  run([&](Reactor& reactor) -> Task<void> {
    Address address;
    {
      const Socket listener = must(co_await reactor.listen({"127.0.0.1", 0}));
      address = reactor.local_address(listener);
    }
    co_await reactor.sleep(1ms);
    const auto result = co_await reactor.connect(address);
    EXPECT_EQ(code_of(result), ErrorCode::unavailable);
    EXPECT_THAT(result.error().message, HasSubstr("connect"));
    EXPECT_THAT(result.error().message, HasSubstr(to_string(address)));
  });
}

TEST_P(ReactorContract, AReceiveEndsAtItsDeadline) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    const MonotonicTime deadline = reactor.now() + 1ms;
    EXPECT_EQ(code_of(co_await reactor.receive(pair.server, space(reactor, 10), deadline)),
              ErrorCode::timed_out);
    EXPECT_GE(reactor.now(), deadline);
    // The socket goes on.
    must(co_await reactor.send(pair.client, slice_of(reactor, "late")));
    EXPECT_EQ(must(co_await reactor.receive(pair.server, space(reactor, 10), reactor.now() + 1h)), 4U);
  });
}

TEST_P(ReactorContract, ASendToAPeerThatDoesNotReadEndsAtItsDeadline) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    const Slice sent = pattern(reactor, 16 << 20, 3);
    EXPECT_EQ(code_of(co_await reactor.send(pair.client, sent, reactor.now() + 5ms)), ErrorCode::timed_out);
  });
}

TEST_P(ReactorContract, ADeadlineInThePastStillGivesTimedOut) {
  run([&](Reactor& reactor) -> Task<void> {
    const Pair pair = co_await connected(reactor);
    EXPECT_EQ(code_of(co_await reactor.receive(pair.server, space(reactor, 10), reactor.now())),
              ErrorCode::timed_out);
  });
}

TEST_P(ReactorContract, SeveralConnectionsAreAcceptedInTurn) {
  run([&](Reactor& reactor) -> Task<void> {
    const Socket listener = must(co_await reactor.listen({"127.0.0.1", 0}));
    std::vector<Socket> clients;
    std::vector<Socket> servers;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(must(co_await reactor.connect(reactor.local_address(listener))));
      servers.push_back(must(co_await reactor.accept(listener)));
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
      must(co_await reactor.send(clients[i], slice_of(reactor, std::to_string(i))));
    }
    for (std::size_t i = 0; i < servers.size(); ++i) {
      const std::string expected = std::to_string(i);
      const Slice back = space(reactor, static_cast<std::uint32_t>(expected.size()));
      co_await receive_all(reactor, servers[i], back);
      EXPECT_EQ(text_of(back, expected.size()), expected);
    }
  });
}

TEST_P(ReactorContract, TransferSendsARangeOfAFile) {
  run([&](Reactor& reactor) -> Task<void> {
    const File file = co_await created(reactor, path("a"));
    const Slice content = pattern(reactor, 300 << 10, 4);
    must(co_await reactor.write(file, content, 0, Sync::data));
    const Pair pair = co_await connected(reactor);
    const Slice got = space(reactor, 200 << 10);
    auto sending = [](Reactor& on, File from, Socket to) -> Task<void> {
      std::uint64_t sent = 0;
      while (sent < 200_KiB) {
        const auto count = must(co_await on.transfer(from, 50_KiB + sent, 200_KiB - sent, to));
        CHECK(count > 0, "nothing was transferred at {}", sent);
        sent += count;
      }
    };
    reactor.spawn(sending(reactor, file, pair.client));
    co_await receive_all(reactor, pair.server, got);
    EXPECT_TRUE(equal(got, Slice{content.buffer, 50 << 10, 200 << 10}));
    // Behind the end there is nothing to send.
    EXPECT_EQ(must(co_await reactor.transfer(file, 1_MiB, 4096, pair.client)), 0U);
  });
}

TEST_P(ReactorContract, ATransferToAPeerThatDoesNotReadEndsAtItsDeadline) {
  run([&](Reactor& reactor) -> Task<void> {
    const File file = co_await created(reactor, path("a"));
    must(co_await reactor.write(file, pattern(reactor, 256 << 10, 4), 0, Sync::no));
    const Pair pair = co_await connected(reactor);
    ErrorCode code{};
    for (int i = 0; i < 1000 && code == ErrorCode{}; ++i) {
      code = code_of(co_await reactor.transfer(file, 0, 256_KiB, pair.client, reactor.now() + 5ms));
    }
    EXPECT_EQ(code, ErrorCode::timed_out);
  });
}

}  // namespace
}  // namespace millrace

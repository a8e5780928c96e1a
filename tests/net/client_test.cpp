// Client against a scripted server: what a caller hears of a request, whatever happens to the connection.
#include "net/client/client.h"

#include "engine/base/batch_builder.h"
#include "net/background.h"
#include "tests/net/client_fixture.h"

namespace millrace::test {
namespace {

using testing::HasSubstr;

class ClientTest : public ClientFixture {
 protected:
  static Slice batch_of(Client& client, const std::string& value) {
    RecordBatchBuilder builder(client.reactor().buffers());
    CHECK(builder.append(record_of(value)) == BatchAppend::appended);
    return *builder.finish();
  }
  // All that the reactor's pool still has.
  static std::vector<Buffer> all_memory(Reactor& reactor) {
    std::vector<Buffer> all;
    for (std::uint64_t size = 16_MiB; size >= 4_KiB; size /= 2) {
      while (auto buffer = reactor.buffers().acquire(size)) all.push_back(*std::move(buffer));
    }
    return all;
  }
  // Produces one record and leaves its outcome in `into`.
  static Task<void> produce_into(Client& client, std::string value, std::vector<Result<Produced>>& into) {
    into.push_back(co_await client.produce_batch({"events", 0}, batch_of(client, value)));
  }
};

TEST_F(ClientTest, AServerIntroducesItself) {
  run([](Client& client) -> Task<void> {
    const auto server = co_await client.connect();
    CHECK(server, "{}", server.error().message);
    EXPECT_EQ(server->server, "fake 1.0");
    EXPECT_EQ(server->requests_in_flight_max, 1024u);
    EXPECT_TRUE(client.connected());
  });
}

TEST_F(ClientTest, WithoutAServerARequestIsUnavailableAfterItsPatience) {
  options_.connect_patience = std::chrono::seconds(3);
  server_node_.start(1, [](Reactor&) -> Task<void> { co_return; });
  run([this](Client& client) -> Task<void> {
    const MonotonicTime begun = client.reactor().now();
    const auto topics = co_await client.list_topics();
    EXPECT_EQ(topics.error().code, ErrorCode::unavailable);
    EXPECT_THAT(topics.error().message, HasSubstr("no connection to 10.0.0.1:7420"));
    EXPECT_GE(client.reactor().now() - begun, options_.connect_patience);
    EXPECT_GT(client.counters().connect_failures, 3u);
  });
}

TEST_F(ClientTest, WithoutPatienceTheFirstFailedAttemptDecides) {
  options_.connect_patience = Duration::zero();
  server_node_.start(1, [](Reactor&) -> Task<void> { co_return; });
  run([](Client& client) -> Task<void> {
    EXPECT_EQ((co_await client.list_topics()).error().code, ErrorCode::unavailable);
    EXPECT_EQ(client.counters().connect_failures, 1u);
  });
}

TEST_F(ClientTest, AServerThatComesLaterAnswers) {
  server_node_.start(1, [](Reactor&) -> Task<void> { co_return; });
  world_.run_until([this] { return !server_node_.running(); });
  world_.after(std::chrono::seconds(2), [this] { start_server(); });
  const SimEnd end = world_.run(client_node_, [this](Reactor& reactor) -> Task<void> {
    Client client(reactor, options());
    EXPECT_TRUE((co_await client.list_topics()).has_value());
  });
  EXPECT_EQ(end, SimEnd::reached) << world_.waiting();
}

TEST_F(ClientTest, ARefusedHelloIsToldAtOnce) {
  server_.hello_error = static_cast<std::uint16_t>(ErrorCode::wrong_folder);
  run([](Client& client) -> Task<void> {
    const auto topics = co_await client.list_topics();
    EXPECT_EQ(topics.error().code, ErrorCode::wrong_folder);
    EXPECT_EQ(topics.error().message, "not you");
    EXPECT_EQ(client.counters().connect_failures, 1u);
  });
}

TEST_F(ClientTest, ABreakAfterSendingLeavesTheOutcomeUnknown) {
  server_.on_produce = [](std::uint64_t) { return Reply::close; };
  run([](Client& client) -> Task<void> {
    const auto produced = co_await client.produce_batch({"events", 0}, batch_of(client, "a"));
    EXPECT_EQ(produced.error().code, ErrorCode::connection_lost);
    EXPECT_THAT(produced.error().message, HasSubstr("the outcome is unknown"));
  });
  EXPECT_EQ(server_.produces(), 1u) << "a request is never sent twice";
}

TEST_F(ClientTest, RequestsThatStillWaitAreSentOnTheNextConnection) {
  server_.requests_in_flight_max = 1;
  server_.on_produce = [](std::uint64_t request) { return request == 0 ? Reply::close : Reply::answer; };
  run([](Client& client) -> Task<void> {
    std::vector<Result<Produced>> results;
    Gate gate(client.reactor());
    for (const char* value : {"lost", "second", "third"}) gate.spawn(produce_into(client, value, results));
    co_await gate.wait();
    EXPECT_EQ(results[0].error().code, ErrorCode::connection_lost);
    EXPECT_EQ(results[1]->base_offset, Offset{1});
    EXPECT_EQ(results[2]->base_offset, Offset{2});
    EXPECT_EQ(client.counters().connects, 2u);
  });
  EXPECT_THAT(server_.values(), testing::ElementsAre("lost", "second", "third"));
}

TEST_F(ClientTest, NoMoreRequestsAreInFlightThanTheServerTakes) {
  server_.requests_in_flight_max = 2;
  server_.on_produce = [](std::uint64_t) { return Reply::hold; };
  run([this](Client& client) -> Task<void> {
    std::vector<Result<Produced>> results;
    Gate gate(client.reactor());
    for (int i = 0; i < 5; ++i) gate.spawn(produce_into(client, std::to_string(i), results));
    for (std::uint64_t expected : {2u, 4u, 5u}) {
      static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
      EXPECT_EQ(server_.produces(), expected);
      server_.release();
    }
    co_await gate.wait();
    EXPECT_EQ(results.size(), 5u);
  });
}

TEST_F(ClientTest, ASilentServerTimesOutAndItsLateAnswerIsAStray) {
  server_.on_produce = [](std::uint64_t) { return Reply::hold; };
  run([this](Client& client) -> Task<void> {
    const auto produced = co_await client.produce_batch({"events", 0}, batch_of(client, "a"),
                                                        {.timeout = std::chrono::seconds(1)});
    EXPECT_EQ(produced.error().code, ErrorCode::timed_out);
    EXPECT_THAT(produced.error().message, HasSubstr("outcome is unknown"));
    server_.release();
    EXPECT_TRUE((co_await client.list_topics()).has_value());
    EXPECT_EQ(client.counters().strays, 1u);
    EXPECT_EQ(client.counters().connects, 1u);
  });
}

// Also for the shortest of timeouts a deadline is named: 0 would be the server's own.
TEST_F(ClientTest, ARefusalAtTheDeadlineComesBeforeTheClientGivesUp) {
  server_.on_produce = [](std::uint64_t) { return Reply::wait; };
  run([](Client& client) -> Task<void> {
    for (const Duration timeout : {Duration(std::chrono::milliseconds(100)), Duration(0)}) {
      const auto produced =
          co_await client.produce_batch({"events", 0}, batch_of(client, "a"), {.timeout = timeout});
      EXPECT_EQ(produced.error().code, ErrorCode::overloaded) << produced.error().message;
    }
    const Duration shortest = std::chrono::microseconds(500);
    EXPECT_FALSE(co_await client.produce_batch({"events", 0}, batch_of(client, "a"), {.timeout = shortest}));
    static_cast<void>(co_await client.reactor().sleep(std::chrono::milliseconds(100)));
    EXPECT_EQ(client.counters().strays, 1u);
  });
}

TEST_F(ClientTest, AConnectionThatSaysNothingForLongIsReplaced) {
  options_.request_timeout = std::chrono::seconds(5);
  run([this](Client& client) -> Task<void> {
    EXPECT_TRUE((co_await client.list_topics()).has_value());
    world_.network().cut_both(client_node_.number(), server_node_.number());
    EXPECT_EQ((co_await client.list_topics()).error().code, ErrorCode::timed_out);
    world_.network().heal_both(client_node_.number(), server_node_.number());
    EXPECT_TRUE((co_await client.list_topics()).has_value());
    EXPECT_EQ(client.counters().connects, 2u);
  });
}

TEST_F(ClientTest, ADeadConnectionIsReplacedWhenOneCallHasWaitedForItInVain) {
  run([this](Client& client) -> Task<void> {
    EXPECT_TRUE((co_await client.list_topics()).has_value());
    const MonotonicTime begun = client.reactor().now();
    world_.network().cut_both(client_node_.number(), server_node_.number());
    const auto produced = co_await client.produce_batch({"events", 0}, batch_of(client, "a"),
                                                        {.timeout = std::chrono::seconds(2)});
    EXPECT_EQ(produced.error().code, ErrorCode::timed_out);
    world_.network().heal_both(client_node_.number(), server_node_.number());
    EXPECT_TRUE((co_await client.list_topics()).has_value());
    EXPECT_EQ(client.counters().connects, 2u);
    EXPECT_LT(client.reactor().now() - begun, std::chrono::seconds(3));
  });
}

// Also after a time in which nobody asked for anything.
TEST_F(ClientTest, ACallInAHurryLeavesTheConnectionToTheOthers) {
  server_.on_produce = [](std::uint64_t) { return Reply::hold; };
  run([this](Client& client) -> Task<void> {
    EXPECT_TRUE((co_await client.list_topics()).has_value());
    static_cast<void>(co_await client.reactor().sleep(std::chrono::minutes(2)));
    std::vector<Result<Produced>> results;
    Gate gate(client.reactor());
    gate.spawn(produce_into(client, "patient", results));
    const auto hurried = co_await client.produce_batch({"events", 0}, batch_of(client, "a"),
                                                       {.timeout = std::chrono::milliseconds(500)});
    EXPECT_EQ(hurried.error().code, ErrorCode::timed_out);
    server_.release();
    co_await gate.wait();
    EXPECT_TRUE(results[0].has_value());
    EXPECT_EQ(client.counters().connects, 1u);
  });
}

TEST_F(ClientTest, WithoutAcknowledgementARequestEndsWhenItHasLeft) {
  run([this](Client& client) -> Task<void> {
    const auto produced =
        co_await client.produce_batch({"events", 0}, batch_of(client, "a"), {.acks = Acks::none});
    EXPECT_EQ(produced->base_offset, Offset{-1});
    EXPECT_TRUE((co_await client.list_topics()).has_value());
    EXPECT_EQ(server_.produces(), 1u);
  });
}

TEST_F(ClientTest, TheServersErrorIsTheCallersError) {
  run([](Client& client) -> Task<void> {
    const auto trimmed = co_await client.trim({"nothing", 0}, Offset{1});
    EXPECT_EQ(trimmed.error().code, ErrorCode::unknown_topic);
    EXPECT_EQ(trimmed.error().message, "no such topic");
  });
}

TEST_F(ClientTest, AClosedClientRefusesRequestsAndEndsThoseUnderWay) {
  server_.on_produce = [](std::uint64_t) { return Reply::silence; };
  run([](Client& client) -> Task<void> {
    std::vector<Result<Produced>> results;
    Gate gate(client.reactor());
    gate.spawn(produce_into(client, "a", results));
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    client.close();
    co_await gate.wait();
    EXPECT_EQ(results[0].error().code, ErrorCode::connection_lost);
    EXPECT_EQ((co_await client.list_topics()).error().code, ErrorCode::cancelled);
  });
}

TEST_F(ClientTest, ADestroyedRequestLeavesTheOthersAlone) {
  server_.on_produce = [](std::uint64_t request) { return request == 0 ? Reply::hold : Reply::answer; };
  run([this](Client& client) -> Task<void> {
    std::vector<Result<Produced>> results;
    {
      Task<void> abandoned = produce_into(client, "abandoned", results);
      // Started by hand, then destroyed while it waits for its answer.
      auto frame = abandoned.release();
      frame.resume();
      static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
      frame.destroy();
    }
    server_.release();
    co_await produce_into(client, "kept", results);
    EXPECT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0]->base_offset, Offset{1});
    EXPECT_EQ(client.counters().strays, 1u);
  });
}

// The server ends the connection for a table that is longer than any, and with it everybody's requests.
TEST_F(ClientTest, ANameThatIsTooLongCostsItsOwnRequestAlone) {
  server_.on_produce = [](std::uint64_t) { return Reply::hold; };
  run([this](Client& client) -> Task<void> {
    std::vector<Result<Produced>> produced;
    const Background producing(produce_into(client, "held", produced));
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    const auto described = co_await client.describe_topic(std::string(k_request_table_size_max, 'x'));
    EXPECT_EQ(described.error().code, ErrorCode::invalid_argument);
    server_.release();
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    CHECK(produced.size() == 1);
    EXPECT_TRUE(produced[0].has_value());
  });
}

TEST_F(ClientTest, ANameThatIsTooLongIsNotHeldAgainstTheConnect) {
  run([](Client& client) -> Task<void> {
    EXPECT_TRUE((co_await client.connect()).has_value());
    const auto described = co_await client.describe_topic(std::string(k_request_table_size_max, 'x'));
    EXPECT_EQ(described.error().code, ErrorCode::invalid_argument);
    const auto server = co_await client.connect();
    EXPECT_TRUE(server.has_value()) << server.error().message;
  });
}

TEST_F(ClientTest, ASearchIsEndedByTheServerWhichSaysHowFarItCame) {
  options_.request_timeout = std::chrono::seconds(3);
  run([](Client& client) -> Task<void> {
    const MonotonicTime asked = client.reactor().now();
    const auto found = co_await client.list_offset({"events", 0}, OffsetQuery::timestamp, 1);
    EXPECT_EQ(found.error().code, ErrorCode::timed_out);
    EXPECT_THAT(found.error().message, HasSubstr("not found up to offset 5"));
    EXPECT_GT(client.reactor().now() - asked, std::chrono::seconds(2));
    EXPECT_LT(client.reactor().now() - asked, std::chrono::seconds(3));
    EXPECT_EQ(client.counters().connects, 1u);
  });
}

TEST_F(ClientTest, AReconnectNeedsNoMemory) {
  run([this](Client& client) -> Task<void> {
    EXPECT_TRUE((co_await client.list_topics()).has_value());
    server_node_.kill();
    static_cast<void>(co_await client.reactor().sleep(std::chrono::seconds(1)));
    EXPECT_FALSE(client.connected());
    const std::vector<Buffer> all = all_memory(client.reactor());
    start_server();
    const auto topics = co_await client.list_topics();
    EXPECT_TRUE(topics.has_value()) << topics.error().message;
  });
}

TEST_F(ClientTest, AnAnswerThatFindsNoMemoryDoesNotHoldUpTheNextConnection) {
  options_.request_timeout = std::chrono::seconds(5);
  run([this](Client& client) -> Task<void> {
    server_.entries.assign(100 << 10, 'x');  // more than a client keeps, and what a link carries
    server_.end = 1;
    EXPECT_TRUE((co_await client.connect()).has_value());
    const std::vector<Buffer> all = all_memory(client.reactor());
    EXPECT_EQ((co_await client.fetch({"events", 0}, Offset{0})).error().code, ErrorCode::timed_out);
    EXPECT_EQ((co_await client.list_topics()).error().code, ErrorCode::timed_out) << "its answer lies behind";
    EXPECT_TRUE((co_await client.list_topics()).has_value());
    EXPECT_EQ(client.counters().connects, 2u);
  });
}

TEST_F(ClientTest, AFrameThatFindsNoMemoryUntilTheDeadlineIsAnError) {
  run([this](Client& client) -> Task<void> {
    Reactor& reactor = client.reactor();
    const auto socket = co_await reactor.connect(options().server);
    CHECK(socket, "{}", socket.error().message);
    const std::vector<Buffer> all = all_memory(reactor);
    FrameReader reader(reactor, *socket);
    const MonotonicTime deadline = reactor.now() + std::chrono::seconds(1);
    const auto frame = co_await reader.next(deadline);
    EXPECT_EQ(frame.error().code, ErrorCode::overloaded);
    EXPECT_GE(reactor.now(), deadline);
  });
}

}  // namespace
}  // namespace millrace::test

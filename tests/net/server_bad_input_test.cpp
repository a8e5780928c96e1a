// What the server makes of bytes that are no requests, and of requests that make no sense: a clear error, and
// nobody else notices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/endian.h"
#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

using ::testing::HasSubstr;

// An error frame, and then the end.
Task<void> expect_refused(Reactor& here, Address server, Bytes bytes, ErrorCode code, std::string part) {
  Peer peer = co_await Peer::connect(here, server);
  co_await peer.send(bytes);
  const Frame frame = co_await peer.receive();
  EXPECT_EQ(frame.error(), code) << part;
  EXPECT_THAT(frame.error_message(), HasSubstr(part));
  EXPECT_TRUE((co_await peer.receive()).ended()) << part;
}

TEST(ServerBadInput, StrangersAreToldWhatThisPortSpeaks) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    const auto text = [](std::string_view from, std::size_t size) { return bytes_of({from.data(), size}); };
    co_await expect_refused(here, server, text("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
                            ErrorCode::protocol_error, "TLS");
    co_await expect_refused(here, server, text("\x00\x00\x00\x22\x00\x12\x00\x03\x00\x00\x00\x01", 12),
                            ErrorCode::protocol_error, "Kafka");
    co_await expect_refused(here, server, bytes_of("what is this?"), ErrorCode::protocol_error,
                            "no Millrace frame");
    co_await expect_refused(here, server, Bytes(100'000, std::byte{0xff}), ErrorCode::protocol_error,
                            "no Millrace frame");

    Peer browser = co_await Peer::connect(here, server);
    co_await browser.send(bytes_of("GET / HTTP/1.0\r\n\r\n"));
    const std::string answer = co_await browser.receive_text();
    EXPECT_THAT(answer, HasSubstr("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_THAT(answer, HasSubstr("looks like an HTTP request"));

    Peer peer = co_await Peer::greeted(here, server);
    EXPECT_EQ(co_await peer.counter("closed_bad_frame"), 5u);
    EXPECT_EQ(co_await peer.counter("closed_tls"), 1u);
    EXPECT_EQ(co_await peer.counter("closed_kafka"), 1u);
    EXPECT_EQ(co_await peer.counter("closed_http"), 1u);
    EXPECT_EQ(co_await peer.counter("connections"), 1u);
  });
  EXPECT_TRUE(story.logged("looks like a TLS hello"));
}

TEST(ServerBadInput, TheFirstFrameMustBeAHelloThatFits) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    co_await expect_refused(here, server, Peer::produce_frame(1, "orders", batch_of("x")),
                            ErrorCode::protocol_error, "before hello");
    // Lengths are looked at before anything is allocated, and before hello little is allowed.
    co_await expect_refused(here, server, Peer::produce_frame(1, "orders", large_batch(10'000)),
                            ErrorCode::frame_too_large, "at most 4096");
    const auto hello = [](std::uint8_t from, std::uint8_t to, bool other_cluster, bool authentication) {
      flatbuffers::FlatBufferBuilder builder;
      const wire::Id cluster(1, 2);
      const auto secret = builder.CreateVector(std::vector<std::uint8_t>{1, 2, 3});
      const auto client = builder.CreateString("test");
      builder.Finish(wire::CreateHello(builder, from, to, 0, client, other_cluster ? &cluster : nullptr,
                                       authentication ? secret : 0));
      return Peer::frame(FrameType::hello, 9, builder);
    };
    co_await expect_refused(here, server, hello(2, 3, false, false), ErrorCode::unsupported_version,
                            "versions 2 to 3");
    co_await expect_refused(here, server, hello(1, 1, true, false), ErrorCode::wrong_folder,
                            "another cluster");
    co_await expect_refused(here, server, hello(1, 1, false, true), ErrorCode::unsupported, "no users");

    Peer peer = co_await Peer::connect(here, server);
    co_await peer.send(hello(0, 200, false, false));
    const Frame welcome = co_await peer.receive();
    EXPECT_EQ(welcome.answer<wire::HelloAnswer>(FrameType::hello)->version(), 1);
    co_await peer.send(Peer::hello_frame(10));
    EXPECT_EQ((co_await peer.receive()).error(), ErrorCode::protocol_error);
    // A second hello is a mistake, but no reason to part.
    EXPECT_EQ(co_await peer.counter("closed_no_hello"), 4u);
  });
}

TEST(ServerBadInput, AFrameThatLiesEndsTheConnectionAndNoOther) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    const Bytes good = Peer::produce_frame(1, "orders", batch_of("x"));
    struct Lie {
      std::size_t at;
      std::uint32_t value;
      ErrorCode code;
    };
    for (const Lie& lie :
         {Lie{16, k_request_table_size_max + 1, ErrorCode::frame_too_large},
          Lie{16, UINT32_MAX, ErrorCode::frame_too_large}, Lie{16, 8, ErrorCode::protocol_error},
          Lie{20, k_frame_size_max, ErrorCode::frame_too_large},
          Lie{20, UINT32_MAX, ErrorCode::frame_too_large}, Lie{20, 8, ErrorCode::protocol_error},
          Lie{24, 0, ErrorCode::protocol_error}, Lie{8, 77, ErrorCode::protocol_error},
          Lie{40, UINT32_MAX, ErrorCode::protocol_error}}) {
      Peer peer = co_await Peer::greeted(here, server);
      Bytes bytes = good;
      store_le<std::uint32_t>(bytes.data() + lie.at, lie.value);
      co_await peer.send(bytes);
      EXPECT_EQ((co_await peer.receive()).error(), lie.code) << lie.at << " " << lie.value;
      EXPECT_TRUE((co_await peer.receive()).ended());
    }
    EXPECT_EQ(co_await bystander.counter("closed_bad_frame"), 9u);
    EXPECT_EQ(co_await bystander.counter("log_appends"), 2u);  // of the topic: a no-op and its record
  });
}

TEST(ServerBadInput, AFrameCutAnywhereIsForgotten) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    const Bytes good = Peer::produce_frame(1, "orders", batch_of("x"));
    for (std::size_t size = 0; size < good.size(); ++size) {
      Peer peer = co_await Peer::greeted(here, server);
      co_await peer.send(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)));
      co_await peer.close();
    }
    const Bytes large = Peer::produce_frame(1, "orders", large_batch(100'000));
    for (std::size_t size = good.size(); size < large.size(); size += 9'999) {
      Peer peer = co_await Peer::greeted(here, server);
      co_await peer.send(Bytes(large.begin(), large.begin() + static_cast<std::ptrdiff_t>(size)));
      co_await peer.close();
    }
    static_cast<void>(co_await here.sleep(std::chrono::seconds(1)));
    EXPECT_EQ(co_await bystander.counter("connections"), 1u);
    EXPECT_EQ(co_await bystander.counter("produce_requests"), 0u);
    EXPECT_EQ(co_await bystander.counter("request_bytes_in_flight"), 0u);
  });
}

TEST(ServerBadInput, ARequestThatMakesNoSenseIsAnsweredAndTheConnectionGoesOn) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders", 2);
    const auto ask_raw = [&peer](std::uint8_t type, Bytes table, Bytes payload) -> Task<ErrorCode> {
      Bytes bytes(k_preamble_size + table.size());
      encode_frame(type, 5, table, static_cast<std::uint32_t>(payload.size()), bytes);
      bytes.insert(bytes.end(), payload.begin(), payload.end());
      co_await peer.send(bytes);
      co_return (co_await peer.receive()).error();
    };
    // frame types nobody knows, and those that are answers
    for (const unsigned type : {0u, 13u, 100u, 127u, 128u, 134u, 254u, 255u}) {
      EXPECT_EQ(co_await ask_raw(static_cast<std::uint8_t>(type), {}, {}), ErrorCode::protocol_error) << type;
    }
    // tables that are none
    for (std::uint8_t type = 2; type <= 12; ++type) {
      EXPECT_EQ(co_await ask_raw(type, {}, {}), ErrorCode::protocol_error) << int{type};
      EXPECT_EQ(co_await ask_raw(type, Bytes(40, std::byte{0xee}), {}), ErrorCode::protocol_error)
          << int{type};
    }
    // a payload where there is none, large enough to be received apart
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(wire::CreateStatus(builder));
    const auto status = table_bytes(builder);
    EXPECT_EQ(co_await ask_raw(10, Bytes(status.begin(), status.end()), Bytes(200'000)),
              ErrorCode::protocol_error);
    EXPECT_EQ((co_await peer.produce("orders", Bytes(k_batch_size_max + 1))).error(),
              ErrorCode::record_too_large);

    EXPECT_EQ((co_await peer.produce("orders", batch_of("x")))
                  .answer<wire::ProduceAnswer>(FrameType::produce)
                  ->base_offset(),
              0);
  });
}

TEST(ServerBadInput, EveryWrongArgumentHasItsError) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer peer = co_await Peer::greeted(here, server);
    co_await peer.create("orders", 2);
    EXPECT_EQ((co_await peer.create("orders")).error(), ErrorCode::topic_exists);
    for (const std::string& name :
         {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("a b"),
          std::string("\0x", 2), std::string("\xc3\xa4"), std::string(250, 'a'), std::string(3'900, 'a')}) {
      EXPECT_EQ((co_await peer.create(name)).error(), ErrorCode::invalid_argument) << name.size();
      EXPECT_EQ((co_await peer.produce(name, batch_of("x"))).error(), ErrorCode::unknown_topic)
          << name.size();
    }
    EXPECT_EQ((co_await peer.create("none", 0)).error(), ErrorCode::invalid_argument);
    EXPECT_EQ((co_await peer.create("many", k_partitions_max + 1)).error(), ErrorCode::invalid_argument);
    const auto create_with = [&peer](std::uint64_t segment, std::uint64_t retention_ms) {
      return peer.ask(FrameType::create_topic, [=](auto& builder) {
        const auto settings = wire::CreateTopicSettings(builder, segment, 0, 0, retention_ms);
        builder.Finish(wire::CreateCreateTopic(builder, builder.CreateString("x"), 1, settings));
      });
    };
    EXPECT_EQ((co_await create_with(1000, 0)).error(), ErrorCode::invalid_argument);
    EXPECT_EQ((co_await create_with(k_segment_size_max + 1, 0)).error(), ErrorCode::invalid_argument);
    EXPECT_EQ((co_await create_with(0, UINT64_MAX)).error(), ErrorCode::invalid_argument);
    EXPECT_EQ((co_await peer.remove("nothing")).error(), ErrorCode::unknown_topic);
    EXPECT_EQ((co_await peer.produce("orders", batch_of("x"), 2)).error(), ErrorCode::unknown_topic);
    EXPECT_EQ((co_await peer.produce("orders", batch_of("x"), UINT32_MAX)).error(), ErrorCode::unknown_topic);
    EXPECT_EQ((co_await peer.produce("orders", batch_of("x"), 0, static_cast<wire::Ack>(3))).error(),
              ErrorCode::invalid_argument);
    EXPECT_EQ((co_await peer.produce("orders", {})).error(), ErrorCode::corrupt_batch);
    EXPECT_EQ((co_await peer.produce("orders", bytes_of("no batch"))).error(), ErrorCode::corrupt_batch);
    for (const std::size_t size : {100u, 100'000u}) {
      Bytes damaged = large_batch(size);
      damaged.back() ^= std::byte{1};
      EXPECT_EQ((co_await peer.produce("orders", damaged)).error(), ErrorCode::corrupt_batch) << size;
    }
    for (const std::int64_t offset : {INT64_MIN, std::int64_t{-1}, std::int64_t{1}, INT64_MAX}) {
      EXPECT_EQ((co_await peer.fetch("orders", offset, {})).error(), ErrorCode::offset_out_of_range)
          << offset;
    }
    const auto fetch_nothing = co_await peer.ask(
        FrameType::fetch, [](auto& builder) { builder.Finish(wire::CreateFetch(builder)); });
    EXPECT_EQ(fetch_nothing.error(), ErrorCode::protocol_error);
  });
}

}  // namespace
}  // namespace millrace::test

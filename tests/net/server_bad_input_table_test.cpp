// The list of bad inputs, one row each: what the peer hears, whether it is closed, and that nothing has
// changed for anybody else: the same topics, offsets and bytes, no connection, request or buffer left behind.
#include <gtest/gtest.h>
#include <set>

#include "engine/base/checksum.h"
#include "engine/base/endian.h"
#include "engine/base/record_batch.h"
#include "tests/net/server_peer.h"
#include "tests/net/server_story.h"

namespace millrace::test {
namespace {

using std::chrono::seconds;

// ---- bytes that lie

// In a preamble.
constexpr std::size_t k_magic_at = 0, k_version_at = 4, k_type_at = 5, k_flags_at = 6, k_table_length_at = 16,
                      k_payload_length_at = 20, k_checksum_at = 24;
// In a batch.
constexpr std::size_t k_length_at = 8, k_crc_at = 17, k_attributes_at = 21, k_last_delta_at = 23,
                      k_producer_id_at = 43, k_record_count_at = 57;

template <class T>
Bytes with_le(Bytes bytes, std::size_t at, T value) {
  store_le<T>(bytes.data() + at, value);
  return bytes;
}

// The frame with its checksum made right again.
Bytes sealed(Bytes frame) {
  const std::size_t table = std::min<std::size_t>(load_le<std::uint32_t>(frame.data() + k_table_length_at),
                                                  frame.size() - k_preamble_size);
  Bytes covered(frame.begin(), frame.begin() + k_checksum_at);
  covered.insert(covered.end(), frame.begin() + k_preamble_size,
                 frame.begin() + static_cast<std::ptrdiff_t>(k_preamble_size + table));
  return with_le<std::uint64_t>(std::move(frame), k_checksum_at, xxh3(covered));
}

// A batch with another value in it and a CRC that is right for that.
template <class T>
Bytes batch_with(std::size_t at, T value) {
  Bytes batch = batch_of("x");
  store_be<T>(batch.data() + at, value);
  store_be<std::uint32_t>(batch.data() + k_crc_at, crc32c(std::span(batch).subspan(k_batch_crc_begin)));
  return batch;
}

Bytes good() {
  return Peer::produce_frame(1, "orders", batch_of("x"));
}
Bytes produce(const Bytes& batch) {
  return Peer::produce_frame(1, "orders", batch);
}
// A frame of this type, whatever the table.
Bytes frame_of(FrameType type, const Bytes& table, std::size_t payload = 0) {
  Bytes bytes(k_preamble_size + table.size());
  encode_frame(number(type), 1, table, static_cast<std::uint32_t>(payload), bytes);
  bytes.resize(bytes.size() + payload);
  return bytes;
}
template <class Build>
Bytes built(FrameType type, Build build) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(build(builder));
  return Peer::frame(type, 1, builder);
}

// ---- the list

enum class Then : std::uint8_t {
  closed,  // told, and the connection ends
  told,    // told, and it goes on
};

struct BadInput {
  std::string name;
  Bytes bytes;
  ErrorCode code;
  Then then = Then::closed;
  bool greeted = true;  // after a hello
};

using enum ErrorCode;

std::vector<BadInput> bad_preambles() {
  const std::size_t table = load_le<std::uint32_t>(good().data() + k_table_length_at);
  const auto most = static_cast<std::uint32_t>(k_frame_size_max - k_preamble_size - table);
  const auto lengths = [](std::size_t at, std::uint32_t value) { return sealed(with_le(good(), at, value)); };
  Bytes largest = lengths(k_payload_length_at, most);
  largest.resize(k_frame_size_max);
  std::vector<BadInput> list = {
      {"a table of 0 bytes", frame_of(FrameType::produce, {}), protocol_error, Then::told},
      {"a table of 1 byte", frame_of(FrameType::produce, Bytes(1)), protocol_error, Then::told},
      {"a table of 3 bytes", frame_of(FrameType::produce, Bytes(3)), protocol_error, Then::told},
      {"the largest table, of zeros", frame_of(FrameType::produce, Bytes(k_request_table_size_max)),
       protocol_error, Then::told},
      {"one more", lengths(k_table_length_at, k_request_table_size_max + 1), frame_too_large},
      {"a table of 2^31", lengths(k_table_length_at, 0x80000000u), frame_too_large},
      {"a table of 2^32 - 1", lengths(k_table_length_at, UINT32_MAX), frame_too_large},
      {"a payload of 1 byte", produce(Bytes(1)), corrupt_batch, Then::told},
      {"a payload of 3 bytes", produce(Bytes(3)), corrupt_batch, Then::told},
      {"the largest batch, of zeros", produce(Bytes(k_batch_size_max)), invalid_batch, Then::told},
      {"one more", produce(Bytes(k_batch_size_max + 1)), record_too_large, Then::told},
      {"the largest frame", largest, record_too_large, Then::told},
      {"one more", lengths(k_payload_length_at, most + 1), frame_too_large},
      {"a payload of 2^31", lengths(k_payload_length_at, 0x80000000u), frame_too_large},
      {"a payload of 2^32 - 1", lengths(k_payload_length_at, UINT32_MAX), frame_too_large},
      {"both lengths 2^32 - 1",
       sealed(with_le(lengths(k_table_length_at, UINT32_MAX), k_payload_length_at, UINT32_MAX)),
       frame_too_large},
      {"another magic", sealed(with_le(good(), k_magic_at, 0x324c524du)), protocol_error},
      {"another version", sealed(with_le<std::uint8_t>(good(), k_version_at, 2)), unsupported_version},
      {"flags", sealed(with_le<std::uint16_t>(good(), k_flags_at, 0x8000)), protocol_error},
      {"an unknown type", sealed(with_le<std::uint8_t>(good(), k_type_at, 100)), protocol_error, Then::told},
      {"an answer", sealed(with_le<std::uint8_t>(good(), k_type_at, 134)), protocol_error, Then::told},
      {"an error", sealed(with_le<std::uint8_t>(good(), k_type_at, 255)), protocol_error, Then::told},
      {"a second hello", Peer::hello_frame(), protocol_error, Then::told},
      {"no hello", good(), protocol_error, Then::closed, false},
      {"much before a hello", Peer::produce_frame(1, "orders", large_batch(5000)), frame_too_large,
       Then::closed, false},
  };
  for (std::size_t bit = 0; bit < 64; bit += 7) {
    Bytes damaged = good();
    damaged[k_checksum_at + bit / 8] ^= std::byte{1} << (bit % 8);
    list.push_back({fmt::format("bit {} of the checksum", bit), damaged, protocol_error});
  }
  for (std::size_t at = k_preamble_size; at < k_preamble_size + table; at += 5) {
    Bytes damaged = good();
    damaged[at] ^= std::byte{0x10};
    list.push_back({fmt::format("damage at {} of the table", at - k_preamble_size), damaged, protocol_error});
  }
  return list;
}

std::vector<BadInput> bad_batches() {
  Bytes wrong_crc = batch_of("x");
  wrong_crc.back() ^= std::byte{1};
  Bytes cut = batch_of("x"), two = batch_of("x");
  cut.pop_back();
  two.insert(two.end(), cut.begin(), cut.end());
  std::vector<BadInput> list = {
      {"no batch", produce({}), corrupt_batch},
      {"a wrong CRC", produce(wrong_crc), corrupt_batch},
      {"a cut batch", produce(cut), invalid_batch},
      {"a batch and a half", produce(two), invalid_batch},
      {"length -1", produce(batch_with<std::int32_t>(k_length_at, -1)), invalid_batch},
      {"length 2^31 - 1", produce(batch_with<std::int32_t>(k_length_at, INT32_MAX)), invalid_batch},
      {"a base offset", produce(batch_with<std::int64_t>(0, 5)), invalid_batch},
      {"base offset -1", produce(batch_with<std::int64_t>(0, -1)), invalid_batch},
      {"0 records", produce(batch_with<std::int32_t>(k_record_count_at, 0)), invalid_batch},
      {"-1 records", produce(batch_with<std::int32_t>(k_record_count_at, -1)), invalid_batch},
      {"2^31 - 1 records", produce(batch_with<std::int32_t>(k_record_count_at, INT32_MAX)), invalid_batch},
      {"more offsets than records", produce(batch_with<std::int32_t>(k_last_delta_at, 1)), invalid_batch},
      {"last delta 2^31 - 1", produce(batch_with<std::int32_t>(k_last_delta_at, INT32_MAX)), invalid_batch},
      {"last delta -1", produce(batch_with<std::int32_t>(k_last_delta_at, -1)), invalid_batch},
      {"an unknown codec", produce(batch_with<std::uint16_t>(k_attributes_at, 7)), unsupported_compression},
      {"a control batch", produce(batch_with<std::uint16_t>(k_attributes_at, 0x20)), invalid_batch},
      {"a transaction", produce(batch_with<std::uint16_t>(k_attributes_at, 0x10)), invalid_batch},
      {"producer -2", produce(batch_with<std::int64_t>(k_producer_id_at, -2)), invalid_batch},
      {"producer 5, epoch -1", produce(batch_with<std::int64_t>(k_producer_id_at, 5)), invalid_batch},
      {"a record's length", produce(batch_with<std::uint8_t>(k_batch_header_size, 0xff)), invalid_batch},
      {"a record's offset", produce(batch_with<std::uint8_t>(k_batch_header_size + 3, 2)), invalid_batch},
      {"a value's length", produce(batch_with<std::uint8_t>(k_batch_header_size + 5, 0x7e)), invalid_batch},
  };
  for (BadInput& input : list) input.then = Then::told;
  return list;
}

std::vector<BadInput> bad_names() {
  std::vector<BadInput> list;
  const auto partition = [](auto& builder, const std::string& name) {
    return wire::CreatePartition(builder, builder.CreateString(name));
  };
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("../../etc"),
        std::string("a\0b", 3), std::string("\xff\xfe\x80"), std::string("\xed\xa0\x80"),
        std::string(k_topic_name_size_max + 1, 'a'), std::string(2u << 10, 'a'),
        std::string(k_request_table_size_max - 200, 'a')}) {
    const std::string of = fmt::format(" of a topic named by {} bytes from {:#04x} on", name.size(),
                                       name.empty() ? 0u : static_cast<unsigned char>(name[0]));
    list.push_back(
        {"create" + of,
         built(FrameType::create_topic,
               [&](auto& builder) { return wire::CreateCreateTopic(builder, builder.CreateString(name)); }),
         invalid_argument});
    list.push_back(
        {"delete" + of,
         built(FrameType::delete_topic,
               [&](auto& builder) { return wire::CreateDeleteTopic(builder, builder.CreateString(name)); }),
         unknown_topic});
    list.push_back({"alter" + of,
                    built(FrameType::alter_topic,
                          [&](auto& builder) {
                            return wire::CreateAlterTopic(builder, builder.CreateString(name), nullptr,
                                                          wire::CreateTopicSettingsChange(builder, 1u << 20));
                          }),
                    unknown_topic});
    list.push_back(
        {"describe" + of,
         built(FrameType::describe_topic,
               [&](auto& builder) { return wire::CreateDescribeTopic(builder, builder.CreateString(name)); }),
         unknown_topic});
    list.push_back({"produce" + of, Peer::produce_frame(1, name, batch_of("x")), unknown_topic});
    list.push_back(
        {"fetch" + of,
         built(FrameType::fetch,
               [&](auto& builder) { return wire::CreateFetch(builder, partition(builder, name)); }),
         unknown_topic});
    list.push_back(
        {"trim" + of,
         built(FrameType::trim,
               [&](auto& builder) { return wire::CreateTrim(builder, partition(builder, name), 1); }),
         unknown_topic});
  }
  for (BadInput& input : list) input.then = Then::told;
  return list;
}

std::vector<BadInput> bad_numbers() {
  const auto fetch = [](std::int64_t offset, std::uint32_t partition = 0) {
    return built(FrameType::fetch, [=](auto& builder) {
      const auto from = wire::CreatePartition(builder, builder.CreateString("orders"), nullptr, partition);
      return wire::CreateFetch(builder, from, offset, UINT32_MAX, UINT32_MAX, UINT32_MAX);
    });
  };
  const auto trim = [](std::int64_t before) {
    return built(FrameType::trim, [=](auto& builder) {
      return wire::CreateTrim(builder, wire::CreatePartition(builder, builder.CreateString("orders")),
                              before);
    });
  };
  const auto create = [](std::uint32_t partitions, std::uint64_t setting) {
    return built(FrameType::create_topic, [=](auto& builder) {
      const auto settings = wire::CreateTopicSettings(builder, setting, setting, setting, setting);
      return wire::CreateCreateTopic(builder, builder.CreateString("new"), partitions, settings);
    });
  };
  using Setting = flatbuffers::Optional<std::uint64_t>;
  const auto alter = [](Setting segment_bytes, Setting segment_ms, Setting retention_ms) {
    return built(FrameType::alter_topic, [=](auto& builder) {
      const auto change = wire::CreateTopicSettingsChange(builder, segment_bytes, segment_ms,
                                                          flatbuffers::nullopt, retention_ms);
      return wire::CreateAlterTopic(builder, builder.CreateString("orders"), nullptr, change);
    });
  };
  constexpr Setting k_as_it_is = flatbuffers::nullopt;
  const auto list_offsets = [](unsigned spec) {
    return built(FrameType::list_offsets, [=](auto& builder) {
      return wire::CreateListOffsets(builder, wire::CreatePartition(builder, builder.CreateString("orders")),
                                     static_cast<wire::OffsetSpec>(spec), INT64_MIN);
    });
  };
  std::vector<BadInput> list = {
      {"fetch from -1", fetch(-1), offset_out_of_range},
      {"fetch from the least offset", fetch(INT64_MIN), offset_out_of_range},
      {"fetch from 2^63 - 1", fetch(INT64_MAX), offset_out_of_range},
      {"fetch from the end of partition 2^32 - 1", fetch(0, UINT32_MAX), unknown_topic},
      {"trim beyond the end", trim(4), offset_out_of_range},
      {"trim at 2^63 - 1", trim(INT64_MAX), offset_out_of_range},
      {"0 partitions", create(0, 0), invalid_argument},
      {"too many partitions", create(k_partitions_max + 1, 0), invalid_argument},
      {"2^32 - 1 partitions", create(UINT32_MAX, 0), invalid_argument},
      {"settings of 2^64 - 1", create(1, UINT64_MAX), invalid_argument},
      {"segments of 1 byte from now on", alter(1, k_as_it_is, k_as_it_is), invalid_argument},
      {"segments of 2^64 - 1 bytes from now on", alter(UINT64_MAX, k_as_it_is, k_as_it_is), invalid_argument},
      {"segments for 2^64 - 1 ms from now on", alter(k_as_it_is, UINT64_MAX, k_as_it_is), invalid_argument},
      {"2^64 - 1 ms kept from now on", alter(k_as_it_is, k_as_it_is, UINT64_MAX), invalid_argument},
      {"an unknown acknowledgement",
       Peer::produce_frame(1, "orders", batch_of("x"), 0, static_cast<wire::Ack>(3)), invalid_argument},
      {"acknowledgement 255", Peer::produce_frame(1, "orders", batch_of("x"), 0, static_cast<wire::Ack>(255)),
       invalid_argument},
      {"an unknown kind of offset", list_offsets(3), invalid_argument},
      {"kind of offset 255", list_offsets(255), invalid_argument},
  };
  for (BadInput& input : list) input.then = Then::told;
  return list;
}

// ---- what must stay as it was

struct Figures {
  std::uint64_t connections = 0, requests = 0, request_bytes = 0, buffer_bytes = 0, appends = 0, topics = 0;
  Bytes records;
  bool operator==(const Figures&) const = default;
};

Task<Figures> figures_of(Peer& bystander) {
  Figures figures;
  figures.connections = co_await bystander.counter("connections");
  figures.requests = co_await bystander.counter("requests_in_flight");
  figures.request_bytes = co_await bystander.counter("request_bytes_in_flight");
  figures.buffer_bytes = co_await bystander.counter("buffer_bytes");
  figures.appends = co_await bystander.counter("log_appends");
  figures.topics = co_await bystander.counter("topics");
  figures.records = (co_await bystander.fetch("orders", 0, {})).payload;
  co_return figures;
}

std::ostream& operator<<(std::ostream& out, const Figures& figures) {
  return out << fmt::format("{} connections, {} requests of {} bytes, buffers {}, {} appends, {} topics",
                            figures.connections, figures.requests, figures.request_bytes,
                            figures.buffer_bytes, figures.appends, figures.topics);
}

Task<void> expect_treated_so(Reactor& here, Address server, const BadInput& input) {
  Peer peer = input.greeted ? co_await Peer::greeted(here, server) : co_await Peer::connect(here, server);
  co_await peer.send(input.bytes);
  const Frame answer = co_await peer.receive();
  EXPECT_EQ(answer.error(), input.code) << answer.error_message();
  if (input.then == Then::closed) {
    EXPECT_TRUE((co_await peer.receive()).ended());
  } else {
    const Frame records = co_await peer.fetch("orders", 0, {});
    EXPECT_EQ(values_of(records.payload).size(), 3u) << "the connection does not go on";
  }
  co_await peer.close();
}

using List = std::vector<BadInput>();
struct Lists {
  const char* name;
  List* make;
};
class ServerBadInputTable : public testing::TestWithParam<Lists> {};

TEST_P(ServerBadInputTable, IsToldOrClosedAndNothingChanges) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    for (const char* value : {"one", "two", "three"}) co_await bystander.produce("orders", batch_of(value));
    static_cast<void>(co_await here.sleep(seconds(1)));
    const Figures before = co_await figures_of(bystander);
    EXPECT_EQ(values_of(before.records).size(), 3u);
    for (const BadInput& input : GetParam().make()) {
      SCOPED_TRACE(input.name);
      co_await expect_treated_so(here, server, input);
      static_cast<void>(co_await here.sleep(seconds(1)));
      EXPECT_EQ(co_await figures_of(bystander), before);
    }
  });
}
INSTANTIATE_TEST_SUITE_P(Of, ServerBadInputTable,
                         testing::Values(Lists{"Preambles", bad_preambles}, Lists{"Batches", bad_batches},
                                         Lists{"Names", bad_names}, Lists{"Numbers", bad_numbers}),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- tables that lie

// A request of each type that changes nothing, even if it is understood: of a topic that is not there.
std::vector<Bytes> harmless_requests() {
  const auto partition = [](auto& builder) {
    return wire::CreatePartition(builder, builder.CreateString("no/ne"));
  };
  return {
      built(FrameType::hello,
            [](auto& b) {
              return wire::CreateHello(b, 1, 1, 0, b.CreateString("test"), nullptr,
                                       b.CreateVector(std::vector<std::uint8_t>(5)));
            }),
      built(FrameType::create_topic,
            [](auto& b) { return wire::CreateCreateTopic(b, b.CreateString("/"), 0); }),
      built(FrameType::list_topics, [](auto& b) { return wire::CreateListTopics(b, b.CreateString("zz")); }),
      built(FrameType::describe_topic,
            [](auto& b) { return wire::CreateDescribeTopic(b, b.CreateString("no/ne")); }),
      built(FrameType::delete_topic,
            [](auto& b) { return wire::CreateDeleteTopic(b, b.CreateString("no/ne")); }),
      built(FrameType::produce, [&](auto& b) { return wire::CreateProduce(b, partition(b)); }),
      built(FrameType::fetch, [&](auto& b) { return wire::CreateFetch(b, partition(b), 1, 2, 3, 4); }),
      built(
          FrameType::list_offsets,
          [&](auto& b) { return wire::CreateListOffsets(b, partition(b), wire::OffsetSpec::timestamp, 1); }),
      built(FrameType::trim, [&](auto& b) { return wire::CreateTrim(b, partition(b), 1); }),
      built(FrameType::status, [](auto& b) { return wire::CreateStatus(b); }),
      built(FrameType::alter_topic,
            [](auto& b) {
              return wire::CreateAlterTopic(b, b.CreateString("no/ne"), nullptr,
                                            wire::CreateTopicSettingsChange(b, 1, 2, 3, 4), 5);
            }),
      built(FrameType::init_producer, [](auto& b) { return wire::CreateInitProducer(b); }),
  };
}

TEST(ServerBadInput, TheHarmlessRequestsAreOneOfEachType) {
  std::set<int> types, all;
  for (const Bytes& request : harmless_requests()) types.insert(int(request[k_type_at]));
  for (int type = 0; type <= UINT8_MAX; ++type) {
    if (request_type(static_cast<std::uint8_t>(type))) all.insert(type);
  }
  EXPECT_EQ(types, all);
  EXPECT_EQ(harmless_requests().size(), all.size());
}

// Roots past the end, vtables outside, odd and overlapping, strings without their end, lengths that
// overflow, misaligned offsets: every word and every half word of every table, with every value that could be
// one of these.
TEST(ServerBadInput, EveryTableWithAnyWordReplacedIsAnsweredAndChangesNothing) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    for (const char* value : {"one", "two", "three"}) co_await bystander.produce("orders", batch_of(value));
    static_cast<void>(co_await here.sleep(seconds(1)));
    const Figures before = co_await figures_of(bystander);
    constexpr std::uint64_t k_mark = 77;
    const Bytes mark = Peer::produce_frame(k_mark, "none", batch_of("x"));
    Peer peer = co_await Peer::greeted(here, server);
    for (const Bytes& request : harmless_requests()) {
      for (std::size_t at = k_preamble_size; at + 4 <= request.size(); at += 2) {
        for (const std::uint32_t lie :
             {0u, 1u, 2u, 3u, 5u, 8u, 0x7fu, 0xffffu, 0x10000u, 0x7fffffffu, 0x80000000u, 0xfffffffcu,
              0xffffffffu, static_cast<std::uint32_t>(request.size() - k_preamble_size)}) {
          co_await peer.send(sealed(with_le(request, at, lie)));
          co_await peer.send(mark);
          // A produce may have become one that wants no answer.
          std::uint64_t answered = 0;
          while (answered != k_mark) {
            const Frame frame = co_await peer.receive();
            if (frame.ended()) {
              ADD_FAILURE() << int(request[k_type_at]) << " " << at << " " << lie << " ends the connection";
              co_return;
            }
            answered = frame.preamble.correlation;
          }
        }
      }
    }
    co_await peer.close();
    static_cast<void>(co_await here.sleep(seconds(1)));
    EXPECT_EQ(co_await figures_of(bystander), before);
  });
}

// As many as a client can push at once; it takes its answers, or it does not.
TEST(ServerBadInput, AHundredThousandPipelinedFramesCostNoMoreThanTheirBounds) {
  ServerStory story;
  story.run([](Reactor& here, Address server) -> Task<void> {
    constexpr std::uint64_t k_frames = 100'000;
    Peer bystander = co_await Peer::greeted(here, server);
    co_await bystander.create("orders");
    for (const char* value : {"one", "two", "three"}) co_await bystander.produce("orders", batch_of(value));
    static_cast<void>(co_await here.sleep(seconds(1)));
    const Figures before = co_await figures_of(bystander);
    Bytes stream;
    for (std::uint64_t i = 0; i < k_frames; ++i) {
      const Bytes frame = Peer::produce_frame(i, "none", batch_of("x"));
      stream.insert(stream.end(), frame.begin(), frame.end());
    }
    const auto push = [](Peer& peer, Bytes bytes) -> Task<void> { co_await peer.send(std::move(bytes)); };
    {
      Peer takes = co_await Peer::greeted(here, server);
      here.spawn(push(takes, stream));
      std::uint64_t answers = 0, refused = 0;
      while (answers < k_frames) {
        const Frame frame = co_await takes.receive();
        EXPECT_FALSE(frame.ended()) << "after " << answers << " answers";
        if (frame.ended()) break;
        EXPECT_EQ(frame.preamble.correlation, answers);
        ++answers;
        if (frame.error() == unknown_topic) ++refused;
      }
      EXPECT_EQ(answers, k_frames);
      EXPECT_EQ(refused, k_frames);
      co_await takes.close();
    }
    Peer takes_nothing = co_await Peer::greeted(here, server);
    here.spawn(push(takes_nothing, stream));
    static_cast<void>(co_await here.sleep(seconds(5)));
    EXPECT_LE(co_await bystander.counter("buffer_bytes"), before.buffer_bytes + k_send_queue_max);
    static_cast<void>(co_await here.sleep(seconds(60)));
    EXPECT_EQ(co_await bystander.counter("closed_slow_reader"), 1u);
    EXPECT_EQ(co_await figures_of(bystander), before);
  });
}

}  // namespace
}  // namespace millrace::test

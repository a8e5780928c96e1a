// millrace produce: the flags, and the way from standard input to the server.
#include "tools/produce.h"

#include <memory>
#include <utility>

#include "engine/base/units.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/line_source.h"
#include "tools/produce_report.h"
#include "tools/terminal.h"
#include "tools/with_client.h"

namespace millrace::tools {
namespace {

// What a batch of one record takes beyond the record's key, value and headers.
constexpr std::uint64_t k_record_overhead = 256;

ByteView bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// One run of the command.
class Production {
 public:
  Production(ProduceFlags& flags, UringReactor& reactor, Client& client)
      : flags_(flags),
        reactor_(reactor),
        client_(client),
        report_(flags, reactor),
        producer_(client, options(), [this](const Delivery& delivery) { report_.delivered(delivery); }) {
    for (const auto& [name, value] : flags.headers) headers_.push_back({name, bytes_of(value)});
  }

  Task<int> run() {
    report_.start(producer_.statistics());
    Result<void> done = co_await open_topic();
    if (done) done = flags_.raw.empty() ? co_await produce_lines() : co_await produce_file();
    const Result<void> flushed = co_await producer_.flush();
    // The first batch that failed says more than what failed because of it.
    if (!flushed) done = flushed;
    report_.finish();
    if (!done) co_return report("produce", done.error());
    co_return k_exit_ok;
  }

 private:
  ProducerOptions options() const {
    return {.acks = flags_.acks,
            .codec = flags_.codec,
            .batch_bytes =
                static_cast<std::uint32_t>(std::min<std::uint64_t>(flags_.batch_bytes, k_batch_size_max)),
            .batches_in_flight_max = flags_.batches_in_flight,
            .linger = flags_.linger,
            .after_failure = AfterFailure::stop};
  }

  Task<Result<void>> open_topic() {
    auto topic = co_await producer_.open(flags_.topic);
    if (!topic && topic.error().code == ErrorCode::unknown_topic && !flags_.no_create) {
      const auto created =
          co_await client_.create_topic({.name = flags_.topic, .partitions = flags_.partitions});
      // Somebody else may have been faster.
      if (!created && created.error().code != ErrorCode::topic_exists) co_return fail(created.error());
      topic = co_await producer_.open(flags_.topic);
    }
    if (!topic) co_return fail(topic.error());
    if (flags_.partition && *flags_.partition >= topic->partitions) {
      co_return fail(ErrorCode::invalid_argument, "topic {} has no partition {}; it has {}, counted from 0",
                     flags_.topic, *flags_.partition, topic->partitions);
    }
    topic_ = *topic;
    co_return Result<void>();
  }

  Result<std::uint64_t> append(const RecordView& record) {
    return flags_.partition ? producer_.append(topic_, *flags_.partition, record)
                            : producer_.append(topic_, record);
  }

  [[nodiscard]] RecordView record_of(std::string_view line) const {
    RecordView record;
    record.headers = headers_;
    if (flags_.key) record.key = bytes_of(*flags_.key);
    const std::size_t delimiter =
        flags_.key_delimiter.empty() ? std::string_view::npos : line.find(flags_.key_delimiter);
    if (delimiter != std::string_view::npos) {
      record.key = bytes_of(line.substr(0, delimiter));
      line.remove_prefix(delimiter + flags_.key_delimiter.size());
    }
    record.value = bytes_of(line);
    return record;
  }

  Task<Result<void>> put(RecordView record) {
    auto taken = append(record);
    while (!taken && taken.error().code == ErrorCode::overloaded) {
      CO_TRY_VOID(co_await producer_.room());
      taken = append(record);
    }
    if (!taken) co_return fail(taken.error());
    co_return Result<void>();
  }

  Task<Result<void>> produce_lines() {
    LineSource lines(reactor_, reactor_.standard_input(), k_batch_size_max - k_record_overhead);
    for (;;) {
      while (const auto line = lines.next()) {
        const RecordView record = record_of(*line);
        if (append(record)) continue;
        CO_TRY_VOID(co_await put(record));  // says why, or waits for room
      }
      CO_TRY(const bool more, co_await lines.more());
      if (!more) co_return Result<void>();
    }
  }

  Task<Result<void>> produce_file() {
    CO_TRY(const File file, co_await reactor_.open(flags_.raw, {}));
    CO_TRY(const std::uint64_t size, co_await reactor_.size(file));
    if (size > k_batch_size_max - k_record_overhead) {
      co_return fail(ErrorCode::record_too_large, "'{}' has {}; a record has {} at most", flags_.raw,
                     format_size(size), format_size(k_batch_size_max - k_record_overhead));
    }
    CO_TRY(const Buffer buffer, reactor_.buffers().acquire(std::max<std::uint64_t>(size, 1)));
    std::uint64_t length = 0;
    if (size != 0) {
      CO_TRY(length, co_await reactor_.read(file, Slice{buffer, 0, static_cast<std::uint32_t>(size)}, 0));
    }
    co_return co_await put(record_of({reinterpret_cast<const char*>(buffer.data()), length}));
  }

  ProduceFlags& flags_;
  UringReactor& reactor_;
  Client& client_;
  ProduceReport report_;
  Producer producer_;
  ProducerTopic topic_;
  std::vector<RecordHeader> headers_;
};

void add_header(ProduceFlags& flags, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos)
    throw CLI::ValidationError("--header", fmt::format("'{}' is no header; give NAME=VALUE", text));
  flags.headers.emplace_back(text.substr(0, equals), text.substr(equals + 1));
}

void add_record_flags(CLI::App& command, const std::shared_ptr<ProduceFlags>& flags) {
  command.add_option("TOPIC", flags->topic, "Where the records go")->required();
  command.add_option("-p,--partition", flags->partition, "The partition (default: by the key)")
      ->type_name("N");
  CLI::Option* key = command.add_option("-k,--key", flags->key, "The key of every record")->type_name("KEY");
  CLI::Option* delimiter =
      command
          .add_option("-K,--key-delimiter", flags->key_delimiter, "Split each line here into key and value")
          ->type_name("TEXT");
  delimiter->excludes(key);
  command
      .add_option_function<std::vector<std::string>>(
          "-H,--header",
          [flags](const std::vector<std::string>& texts) {
            flags->headers.clear();
            for (const std::string& text : texts) add_header(*flags, text);
          },
          "A header of every record; may be given more than once")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--raw", flags->raw, "One record: the content of this file, whatever it is")
      ->type_name("FILE")
      ->excludes(delimiter);
}

void add_delivery_flags(CLI::App& command, const std::shared_ptr<ProduceFlags>& flags) {
  const std::map<std::string, Acks> acks{
      {"none", Acks::none}, {"leader", Acks::leader}, {"durable", Acks::durable}};
  command
      .add_option("--acks", flags->acks,
                  "What to wait for: none, leader (its memory) or durable (its device)")
      ->transform(CLI::CheckedTransformer(acks))
      ->type_name("LEVEL")
      ->default_str("durable");
  const std::map<std::string, Codec> codecs{
      {"none", Codec::none}, {"lz4", Codec::lz4}, {"zstd", Codec::zstd}};
  command.add_option("-z,--compression", flags->codec, "none, lz4 or zstd")
      ->transform(CLI::CheckedTransformer(codecs))
      ->type_name("CODEC")
      ->default_str("none");
  command
      .add_option_function<std::string>(
          "--acked",
          [flags](const std::string& text) {
            auto format = FormatString::parse(text);
            if (!format) throw CLI::ValidationError("--acked", format.error().message);
            flags->acked = *std::move(format);
          },
          "Print this for each record as soon as it is acknowledged; formats as in consume")
      ->type_name("FORMAT");
  command.add_flag("--no-create", flags->no_create,
                   "Fail if the topic does not exist, instead of creating it");
  command.add_option("--partitions", flags->partitions, "Of a topic that is created")
      ->type_name("N")
      ->default_str("1");
  add_size(command, "--batch-bytes", flags->batch_bytes, "Send a batch when it has this size")
      ->check([](const std::string& text) {
        const auto size = parse_size(text);
        return size && *size > k_batch_size_max ? fmt::format("at most {}", format_size(k_batch_size_max))
                                                : std::string();
      });
  add_duration(command, "--linger", flags->linger, "Wait so long for more records when a batch could leave");
  command.add_option("--in-flight", flags->batches_in_flight, "Batches on their way at a time, a partition")
      ->check(CLI::Range(1u, k_requests_in_flight_max))
      ->type_name("N")
      ->default_str("5");
}

}  // namespace

void add_produce(CLI::App& program, Run& run) {
  CLI::App& command = *program.add_subcommand("produce", "Write each line of standard input into a topic");
  const auto flags = std::make_shared<ProduceFlags>();
  add_server(command, flags->server);
  add_record_flags(command, flags);
  add_delivery_flags(command, flags);
  command.footer(
      "Exit status 4: the connection broke, and some records may or may not have been written.\n\n"
      "Example:\n  millrace produce events -K : --acked '%p/%o %k\\n' < lines.txt");
  command.callback([&run, flags] {
    run = [flags] {
      return with_client("produce", flags->server, [&](UringReactor& reactor, Client& client) -> Task<int> {
        Production production(*flags, reactor, client);
        co_return co_await production.run();
      });
    };
  });
}

}  // namespace millrace::tools

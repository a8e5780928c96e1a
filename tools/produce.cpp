// millrace produce: the flags, and the way from standard input to the server.
#include "tools/produce.h"

#include <memory>
#include <optional>
#include <utility>

#include "engine/base/units.h"
#include "net/background.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/line_source.h"
#include "tools/output_writer.h"
#include "tools/produce_report.h"
#include "tools/terminal.h"
#include "tools/with_client.h"

namespace millrace::tools {
namespace {

// What a batch of one record takes beyond the record's key, value and headers.
constexpr std::uint64_t k_record_overhead = 256;
// Of a batch on its way: with many partitions, all that the library keeps is, and leaves over one connection.
// 32 MiB in this time are 280 kB/s.
constexpr Duration k_delivery_timeout = std::chrono::minutes(2);

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
        output_(reactor),
        report_(flags, reactor, output_),
        producer_(client, options(), [this](const Delivery& delivery) { hear(delivery); }),
        news_(reactor) {
    for (const auto& [name, value] : flags.headers) headers_.push_back({name, bytes_of(value)});
  }

  Task<int> run() {
    report_.start(producer_.statistics());
    int signal = co_await until_signal(reactor_, take_records());
    // What was read is sent, unless a second signal says otherwise.
    if (const int second = co_await until_signal(reactor_, finish()); second != 0) signal = second;
    report_.finish(done_.has_value(), lines_not_taken());
    if (!done_) {
      const int status = report("produce", done_.error());
      // The first failure may be one that is certain, of a batch that was never sent, or of the input.
      co_return report_.records_in_doubt() != 0 ? k_exit_unknown : status;
    }
    co_return signal == 0 ? k_exit_ok : k_exit_signal + signal;
  }

 private:
  // To the end of the input; or until a batch fails, and not until the next line comes, which may be never.
  Task<void> take_records() {
    const Background taking(take_input());
    while (!input_taken_ && !batch_failed_) co_await news_.wait();
  }

  Task<void> take_input() {
    done_ = flags_.raw.empty() ? co_await produce_lines() : co_await produce_file();
    input_taken_ = true;
    news_.wake_all();
  }

  void hear(const Delivery& delivery) {
    report_.delivered(delivery);
    if (delivery.result) return;
    batch_failed_ = true;
    news_.wake_all();
  }

  Task<void> finish() {
    // A signal may have come between two lines of those that were read.
    if (done_ && lines_) done_ = co_await put_lines();
    const Result<void> flushed = co_await producer_.flush();
    // The first batch that failed says more than what failed because of it.
    if (!flushed) done_ = flushed;
    static_cast<void>(co_await output_.drain());
  }

  // After this there are no lines any more.
  std::uint64_t lines_not_taken() {
    if (!lines_) return 0;
    while (lines_->next()) {
    }
    return lines_->lines() - producer_.statistics().records;
  }

  ProducerOptions options() const {
    return {.acks = flags_.acks,
            .codec = flags_.codec,
            .batch_bytes = static_cast<std::uint32_t>(flags_.batch_bytes),
            .batches_in_flight_max = flags_.batches_in_flight,
            .idempotent = !flags_.no_idempotence,
            .linger = flags_.linger,
            .timeout = k_delivery_timeout,
            .after_failure = AfterFailure::stop};
  }

  Task<Result<void>> open_topic() {
    auto topic = co_await producer_.open(flags_.topic);
    if (!topic && topic.error().code == ErrorCode::unknown_topic && !flags_.no_create) {
      CO_TRY_VOID(check_new_topic());
      const auto created =
          co_await client_.create_topic({.name = flags_.topic, .partitions = partitions_if_new()});
      // Somebody else may have been faster.
      if (!created && created.error().code != ErrorCode::topic_exists) co_return fail(created.error());
      topic = co_await producer_.open(flags_.topic);
    }
    if (!topic) co_return fail(topic.error());
    if (flags_.partitions && *flags_.partitions != topic->partitions) {
      co_return fail(ErrorCode::invalid_argument,
                     "topic {} has {} partition{}, not {}, and that does not change; leave out --partitions "
                     "(or MILLRACE_PARTITIONS, or partitions in the config file), or name another topic",
                     flags_.topic, topic->partitions, topic->partitions == 1 ? "" : "s", *flags_.partitions);
    }
    if (flags_.partition && *flags_.partition >= topic->partitions) {
      co_return fail(ErrorCode::invalid_argument, "topic {} has no partition {}; it has {}, counted from 0",
                     flags_.topic, *flags_.partition, topic->partitions);
    }
    topic_ = *topic;
    co_return Result<void>();
  }

  [[nodiscard]] std::uint32_t partitions_if_new() const { return flags_.partitions.value_or(1); }

  // Before it is there: a mistake must not leave a topic behind.
  [[nodiscard]] Result<void> check_new_topic() const {
    if (!flags_.partition || *flags_.partition < partitions_if_new()) return {};
    return fail(ErrorCode::invalid_argument,
                "topic {} does not exist, and with --partitions {} it would have no partition {}; give "
                "--partitions {} or more",
                flags_.topic, partitions_if_new(), *flags_.partition, std::uint64_t{*flags_.partition} + 1);
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
    CO_TRY_VOID(co_await open_topic());
    lines_.emplace(reactor_, reactor_.standard_input(), k_batch_size_max - k_record_overhead);
    for (bool more = true; more;) {
      CO_TRY_VOID(co_await put_lines());
      CO_TRY(more, co_await lines_->more());
    }
    co_return Result<void>();
  }

  // Those that have been read, as fast as their acknowledgements are printed.
  Task<Result<void>> put_lines() {
    while (line_ || (line_ = lines_->next())) {
      const RecordView record = record_of(*line_);
      if (!append(record)) {
        CO_TRY_VOID(co_await put(record));  // says why, or waits for room
      }
      line_.reset();
      if (output_.is_full()) static_cast<void>(co_await output_.room());
    }
    co_return Result<void>();
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
    CO_TRY_VOID(co_await open_topic());
    co_return co_await put(record_of({reinterpret_cast<const char*>(buffer.data()), length}));
  }

  ProduceFlags& flags_;
  UringReactor& reactor_;
  Client& client_;
  OutputWriter output_;
  ProduceReport report_;
  Producer producer_;
  ProducerTopic topic_;
  std::vector<RecordHeader> headers_;
  std::optional<LineSource> lines_;
  std::optional<std::string_view> line_;  // the one that is being put
  bool input_taken_ = false;
  bool batch_failed_ = false;
  WaitQueue news_;  // either of these
  Result<void> done_;
};

// The library would send no more than it can number (producer.h), and say nothing.
void check_in_flight(const ProduceFlags& flags) {
  const bool is_numbered = !flags.no_idempotence && flags.acks != Acks::none;
  if (!is_numbered || flags.batches_in_flight <= k_producer_batches_kept) return;
  throw CLI::ValidationError(
      "--in-flight",
      fmt::format("{} is more than {}, which is all that can be sent again without writing twice; "
                  "give less, or --no-idempotence as well",
                  flags.batches_in_flight, k_producer_batches_kept));
}

void add_header(ProduceFlags& flags, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos)
    throw CLI::ValidationError("--header", fmt::format("'{}' is no header; give NAME=VALUE", text));
  flags.headers.emplace_back(text.substr(0, equals), text.substr(equals + 1));
}

void add_record_flags(CLI::App& command, const std::shared_ptr<ProduceFlags>& flags) {
  command.add_option("TOPIC", flags->topic, "Where the records go")->required();
  add_number(command, "-p,--partition", flags->partition,
             "The partition; without it, the key decides, and records without a key are spread");
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
  add_choice<Acks>(command, "--acks", flags->acks,
                   {{"none", Acks::none}, {"leader", Acks::leader}, {"durable", Acks::durable}},
                   "What to wait for: nothing, the server's memory, or its device");
  add_choice<Codec>(command, "-z,--compression", flags->codec,
                    {{"none", Codec::none}, {"lz4", Codec::lz4}, {"zstd", Codec::zstd}},
                    "How batches are compressed");
  add_parsed(command, "--acked", flags->acked, &FormatString::parse,
             "Print this for each record as soon as it is acknowledged; formats as in consume", "FORMAT");
  command.add_flag("--no-create", flags->no_create,
                   "Fail if the topic does not exist, instead of creating it");
  add_number(command, "--partitions", flags->partitions,
             "Of a topic that is created; one that exists must have as many",
             {.least = 1, .most = k_partitions_max})
      ->default_str("1");
  add_size(command, "--batch-bytes", flags->batch_bytes,
           fmt::format("Send a batch when it has this size, {} to {}", format_size(k_batch_size_target_min),
                       format_size(k_batch_size_max)),
           {.least = k_batch_size_target_min, .most = k_batch_size_max});
  add_duration(command, "--linger", flags->linger, "Wait so long for more records when a batch could leave")
      ->default_str("0s");
  command.add_flag("--no-idempotence", flags->no_idempotence,
                   "Send nothing twice, also when the connection breaks; allows more than 5 --in-flight");
  add_number(command, "--in-flight", flags->batches_in_flight, "Batches on their way at a time, a partition",
             {.least = 1, .most = k_requests_in_flight_max});
}

}  // namespace

void add_produce(CLI::App& program, Run& run) {
  CLI::App& command = *program.add_subcommand("produce", "Write each line of standard input into a topic");
  const auto flags = std::make_shared<ProduceFlags>();
  add_server(command, flags->server);
  add_record_flags(command, flags);
  add_delivery_flags(command, flags);
  command.footer(
      "Exit status 4: it failed, and some records may or may not have been written.\n\n"
      "Example:\n  millrace produce events -K : --acked '%p/%o %k\\n' < lines.txt");
  command.callback([&run, flags] {
    check_in_flight(*flags);
    run = [flags] {
      const auto produce = [&](UringReactor& reactor, Client& client) -> Task<int> {
        Production production(*flags, reactor, client);
        co_return co_await production.run();
      };
      return with_client("produce", flags->server, produce, Signals::are_awaited);
    };
  });
}

}  // namespace millrace::tools

// millrace consume
#include <algorithm>
#include <memory>
#include <vector>

#include "engine/base/units.h"
#include "net/client/consumer.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/format_string.h"
#include "tools/output_writer.h"
#include "tools/start_offset.h"
#include "tools/terminal.h"
#include "tools/with_client.h"

namespace millrace::tools {
namespace {

constexpr const char* k_format_default = "%s\\n";

struct ConsumeFlags {
  HostPort server = server_default();
  std::string topic;
  StartOffset start;
  std::optional<std::uint64_t> count;
  bool stop_at_end = false;
  FormatString format = *FormatString::parse(k_format_default);
  std::optional<std::uint32_t> partition;
};

// One run of the command.
class Consumption {
 public:
  Consumption(const ConsumeFlags& flags, UringReactor& reactor, Client& client)
      : flags_(flags),
        reactor_(reactor),
        client_(client),
        consumer_(client, consumer_options(flags), [this](const Error* reason) { tell_outage(reason); }),
        output_(reactor) {}

  Task<int> run() {
    const int signal = co_await until_signal(reactor_, work());
    // What was printed leaves whole, unless a second signal says otherwise.
    const int second = co_await until_signal(reactor_, drain());
    if (!done_) co_return report("consume", done_.error());
    if (second != 0) co_return k_exit_signal + second;
    // Who follows a topic for ever ends this way.
    const bool is_usual = !flags_.stop_at_end && !flags_.count;
    co_return signal == 0 || is_usual ? k_exit_ok : k_exit_signal + signal;
  }

 private:
  Task<void> work() {
    done_ = co_await follow();
    if (done_) done_ = co_await print_records();
  }

  Task<void> drain() { static_cast<void>(co_await output_.drain()); }

  // A follower outlives a restart of the server; one that shall stop at the end has nothing to wait for.
  static ConsumerOptions consumer_options(const ConsumeFlags& flags) {
    ConsumerOptions options;
    if (flags.stop_at_end) options.patience = Duration::zero();
    return options;
  }

  // Of a follower, which would else look like one that has nothing to read.
  void tell_outage(const Error* reason) const {
    const std::string server = to_string(flags_.server);
    write_error(reason == nullptr
                    ? fmt::format("millrace consume: {} answers again\n", server)
                    : fmt::format("millrace consume: {} gives no records ({}); trying again for {}\n", server,
                                  name(reason->code), format_duration(ConsumerOptions{}.patience)));
  }

  // Where a partition ended when this began.
  struct End {
    PartitionName partition;
    Offset end;
  };

  Task<Result<void>> follow() {
    CO_TRY(const TopicDescription topic, co_await client_.describe_topic(flags_.topic));
    const auto partitions = static_cast<std::uint32_t>(topic.partitions.size());
    if (flags_.partition && *flags_.partition >= partitions) {
      co_return fail(ErrorCode::invalid_argument, "topic {} has no partition {}; it has {}, counted from 0",
                     flags_.topic, *flags_.partition, partitions);
    }
    // Followed when all is known: what is fetched before it is read keeps others' answers from coming.
    std::vector<Offset> begins;
    for (std::uint32_t i = 0; i < partitions; ++i) {
      if (flags_.partition && *flags_.partition != i) continue;
      const PartitionName name{flags_.topic, i};
      // The end first: what is written meanwhile is beyond it.
      CO_TRY(const ListedOffset end, co_await client_.list_offset(name, OffsetQuery::latest));
      CO_TRY(Offset from, co_await find_offset(client_, name, flags_.start));
      if (!flags_.partition && partitions > 1 && flags_.start.query == StartOffset::Query::offset)
        from = nearest(from, topic.partitions[i].log_start, end.offset, name);
      if (flags_.stop_at_end && from >= end.offset) {
        // Other places are where something is, or will be.
        const bool is_wrong = flags_.start.query == StartOffset::Query::offset && from > end.offset;
        if (!is_wrong) continue;
        co_return fail(ErrorCode::offset_out_of_range, "{}: offset {} is beyond the end, {}", to_string(name),
                       from.value(), end.offset.value());
      }
      ends_.push_back({name, end.offset});
      begins.push_back(from);
    }
    for (std::size_t i = 0; i < begins.size(); ++i) consumer_.follow(ends_[i].partition, begins[i]);
    co_return Result<void>();
  }

  // One offset for several partitions is rarely in all of them. (Of a single one it must be: there it is a
  // mistake, or the records are gone, and the server's refusal says so.)
  static Offset nearest(Offset wanted, Offset start, Offset end, const PartitionName& name) {
    const Offset from = std::clamp(wanted, start, end);
    if (from != wanted) {
      write_error(fmt::format("millrace consume: {} begins at {} and ends at {}: read from {} on\n",
                              to_string(name), start.value(), end.value(), from.value()));
    }
    return from;
  }

  Task<Result<void>> print_records() {
    std::uint64_t left = flags_.count.value_or(std::numeric_limits<std::uint64_t>::max());
    while (left != 0 && !ended()) {
      while (const ConsumedRecord* record = left == 0 ? nullptr : consumer_.next()) {
        if (flags_.stop_at_end && is_beyond(*record)) continue;
        flags_.format.print(record->topic, record->partition, record->record, output_.text());
        --left;
        if (output_.is_full() && co_await output_.room() == Output::closed) co_return Result<void>();
      }
      if (co_await output_.drain() == Output::closed) co_return Result<void>();
      if (left != 0 && !ended()) CO_TRY_VOID(co_await consumer_.wait());
    }
    co_return Result<void>();
  }

  [[nodiscard]] bool is_beyond(const ConsumedRecord& record) const {
    for (const End& each : ends_) {
      if (each.partition.partition == record.partition) return record.record.offset >= each.end;
    }
    return false;
  }

  // With -e: whether every partition's end has been passed. Without, never.
  [[nodiscard]] bool ended() {
    if (!flags_.stop_at_end) return false;
    std::erase_if(ends_, [&](const End& each) {
      const auto progress = consumer_.progress(each.partition);
      const bool passed = progress && progress->next_offset >= each.end;
      if (passed) consumer_.unfollow(each.partition);
      return passed;
    });
    return ends_.empty();
  }

  const ConsumeFlags& flags_;
  UringReactor& reactor_;
  Client& client_;
  Consumer consumer_;
  std::vector<End> ends_;
  OutputWriter output_;
  Result<void> done_;
};

}  // namespace

void add_consume(CLI::App& program, Run& run) {
  CLI::App& command = *program.add_subcommand("consume", "Print a topic's records, and follow it");
  const auto flags = std::make_shared<ConsumeFlags>();
  add_server(command, flags->server);
  command.add_option("TOPIC", flags->topic, "The topic to read")->required();
  add_parsed(
      command, "-o,--offset", flags->start, &StartOffset::parse,
      "Where to begin: earliest, latest, an offset, -N for the last N of each partition, or @ and a time "
      "(milliseconds since 1970 or 2026-01-31T12:00:00Z)",
      "WHERE")
      ->default_str("earliest");
  add_number(command, "-n,--count", flags->count, "Stop after so many records");
  command.add_flag("-e,--end", flags->stop_at_end,
                   "Stop at the end as it is now, instead of waiting for more");
  add_parsed(command, "-f,--print", flags->format, &FormatString::parse,
             "How to print a record: %t topic, %p partition, %o offset, %T timestamp, %k key, %K its length, "
             "%s value, %S its length, %h headers, %%, \\n \\r \\t \\\\ \\xHH",
             "FORMAT")
      ->default_str(k_format_default);
  add_number(command, "-p,--partition", flags->partition, "Only this partition");
  command.footer("Example:\n  millrace consume events -o earliest -e -f '%p/%o %k: %s\\n'");
  command.callback([&run, flags] {
    run = [flags] {
      const auto consume = [&](UringReactor& reactor, Client& client) -> Task<int> {
        Consumption consumption(*flags, reactor, client);
        co_return co_await consumption.run();
      };
      return with_client("consume", flags->server, consume, Signals::are_awaited);
    };
  });
}

}  // namespace millrace::tools

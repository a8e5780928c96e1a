// millrace topic create|list|describe|alter|trim|delete
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/units.h"
#include "engine/base/uuid.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/start_offset.h"
#include "tools/terminal.h"
#include "tools/with_client.h"

namespace millrace::tools {
namespace {

struct TopicFlags {
  HostPort server = server_default();
  OutputFormat format = OutputFormat::table;
  TopicSpec topic;
  TopicSettingsChange change;
  StartOffset before;
  std::optional<std::uint32_t> partition;
};
using Flags = std::shared_ptr<TopicFlags>;

std::int64_t milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

// 0 means "no limit" on the wire; here it is null.
Json or_null(std::uint64_t value) {
  return value == 0 ? Json() : Json(value);
}

Json json_of(const TopicSpec& topic) {
  return {{"topic", topic.name},
          {"id", to_string(topic.id)},
          {"partitions", topic.partitions},
          {"segment_bytes", or_null(topic.segment_bytes)},
          {"segment_age_ms", or_null(static_cast<std::uint64_t>(milliseconds(topic.segment_age)))},
          {"retention_bytes", or_null(topic.retention_bytes)},
          {"retention_age_ms", or_null(static_cast<std::uint64_t>(milliseconds(topic.retention_age)))}};
}

Json json_of(const PartitionDescription& partition) {
  return {{"partition", partition.partition},
          {"group", partition.group.value()},
          {"shard", partition.shard},
          {"term", partition.term.value()},
          {"log_start", partition.log_start.value()},
          {"durable_end", partition.durable_end.value()},
          {"committed_end", partition.committed_end.value()},
          {"end", partition.end.value()},
          {"bytes", partition.bytes},
          {"segments", partition.segments}};
}

Task<int> create(TopicFlags& flags, Client& client) {
  const auto id = co_await client.create_topic(flags.topic);
  if (!id) co_return report("topic create", id.error());
  if (flags.format == OutputFormat::json) {
    // The server knows what stands for the settings that were not given.
    const auto made = co_await client.describe_topic(flags.topic.name);
    if (!made) co_return report("topic create", made.error());
    write_output(json_text(json_of(made->topic)));
  } else {
    write_output(fmt::format("created topic {} with {} partition{}\n", flags.topic.name,
                             flags.topic.partitions, flags.topic.partitions == 1 ? "" : "s"));
  }
  co_return k_exit_ok;
}

Task<int> list(TopicFlags& flags, Client& client) {
  const auto topics = co_await client.list_topics();
  if (!topics) co_return report("topic list", topics.error());
  Json rows = Json::array();
  for (const TopicSpec& topic : *topics) rows.push_back(json_of(topic));
  write_output(flags.format == OutputFormat::json ? json_text(rows) : table_of(rows));
  co_return k_exit_ok;
}

Task<int> describe(TopicFlags& flags, Client& client) {
  const auto description = co_await client.describe_topic(flags.topic.name);
  if (!description) co_return report("topic describe", description.error());
  Json topic = json_of(description->topic);
  Json rows = Json::array();
  for (const PartitionDescription& partition : description->partitions) rows.push_back(json_of(partition));
  if (flags.format == OutputFormat::json) {
    topic["partition_states"] = rows;
    write_output(json_text(topic));
  } else {
    write_output(list_of(topic) + "\n" + table_of(rows));
  }
  co_return k_exit_ok;
}

Task<int> alter(TopicFlags& flags, Client& client) {
  if (flags.change == TopicSettingsChange{}) {
    write_error("millrace topic alter: name a setting to change\nTry: millrace topic alter --help\n");
    co_return k_exit_usage;
  }
  const auto topic = co_await client.alter_topic(flags.topic.name, flags.change);
  if (!topic) co_return report("topic alter", topic.error());
  const Json json = json_of(*topic);
  write_output(flags.format == OutputFormat::json ? json_text(json) : list_of(json));
  co_return k_exit_ok;
}

// Where each partition shall begin: all of it is asked for before anything is trimmed.
Task<Result<std::vector<std::pair<PartitionName, Offset>>>> new_starts(const TopicFlags& flags,
                                                                       Client& client) {
  const std::string& name = flags.topic.name;
  CO_TRY(const TopicDescription topic, co_await client.describe_topic(name));
  const std::size_t count = topic.partitions.size();
  if (flags.partition && *flags.partition >= count) {
    co_return fail(ErrorCode::invalid_argument, "topic {} has no partition {}; it has {}, counted from 0",
                   name, *flags.partition, count);
  }
  if (!flags.partition && count > 1 && flags.before.query == StartOffset::Query::offset) {
    co_return fail(
        ErrorCode::invalid_argument,
        "topic {} has {} partitions, each with offsets of its own; name one with -p, or give a time", name,
        count);
  }
  std::vector<std::pair<PartitionName, Offset>> starts;
  for (const PartitionDescription& each : topic.partitions) {
    if (flags.partition && *flags.partition != each.partition) continue;
    const PartitionName partition{name, each.partition};
    CO_TRY(const Offset before, co_await find_offset(client, partition, flags.before));
    starts.emplace_back(partition, before);
  }
  co_return starts;
}

Task<int> trim(TopicFlags& flags, Client& client) {
  const auto starts = co_await new_starts(flags, client);
  if (!starts) co_return report("topic trim", starts.error());
  Json rows = Json::array();
  for (const auto& [partition, before] : *starts) {
    const auto log_start = co_await client.trim(partition, before);
    if (!log_start) co_return report("topic trim", log_start.error());
    rows.push_back({{"partition", partition.partition}, {"log_start", log_start->value()}});
  }
  write_output(flags.format == OutputFormat::json ? json_text(rows) : table_of(rows));
  co_return k_exit_ok;
}

Task<int> remove(TopicFlags& flags, Client& client) {
  const auto deleted = co_await client.delete_topic(flags.topic.name);
  if (!deleted) co_return report("topic delete", deleted.error());
  if (flags.format == OutputFormat::json) {
    write_output(json_text({{"topic", flags.topic.name}, {"deleted", true}}));
  } else {
    write_output(fmt::format("deleted topic {}\n", flags.topic.name));
  }
  co_return k_exit_ok;
}

using Verb = Task<int> (*)(TopicFlags&, Client&);

CLI::App& add_verb(CLI::App& topic, Run& run, const Flags& flags, const std::string& name,
                   const std::string& what, Verb verb) {
  CLI::App& command = *topic.add_subcommand(name, what);
  add_server(command, flags->server);
  add_output_format(command, flags->format);
  command.callback([&run, flags, name, verb] {
    run = [flags, name, verb] {
      return with_client("topic " + name, flags->server,
                         [&](UringReactor&, Client& client) { return verb(*flags, client); });
    };
  });
  return command;
}

void add_name(CLI::App& command, const Flags& flags) {
  command.add_option("TOPIC", flags->topic.name, "Its name")->required();
}

void add_alter(CLI::App& topic, Run& run, const Flags& flags) {
  CLI::App& alters = add_verb(topic, run, flags, "alter", "Change a topic's settings", alter);
  add_name(alters, flags);
  const auto size = [](const std::string& text) { return parse_size(text); };
  const auto age = [](const std::string& text) { return parse_duration(text); };
  TopicSettingsChange& change = flags->change;
  add_parsed(alters, "--segment-bytes", change.segment_bytes, size,
             "Seal segment files at this size; 0: the server's default", "SIZE");
  add_parsed(alters, "--segment-age", change.segment_age, age, "Seal them at this age; 0: never", "DURATION");
  add_parsed(alters, "--retention-bytes", change.retention_bytes, size,
             "Keep about this much of a partition; 0: everything", "SIZE");
  add_parsed(alters, "--retention-age", change.retention_age, age,
             "Remove segments sealed so long ago; 0: never", "DURATION");
  alters.footer(
      "What is not named stays as it is. Records that the new settings do not keep are removed soon "
      "after.\n\n"
      "Example:\n  millrace topic alter events --retention-age 30d --retention-bytes 0");
}

void add_trim(CLI::App& topic, Run& run, const Flags& flags) {
  CLI::App& trims = add_verb(topic, run, flags, "trim", "Delete a topic's oldest records", trim);
  add_name(trims, flags);
  add_parsed(
      trims, "--before", flags->before, &StartOffset::parse,
      "Records before this go: an offset, @ and a time (milliseconds since 1970 or 2026-01-31T12:00:00Z), "
      "-N for all but the last N, or latest for all there are",
      "WHERE")
      ->required();
  add_number(trims, "-p,--partition", flags->partition,
             "Only this partition; required with an offset if there are more");
  trims.footer(
      "Prints where each partition begins then: at the batch that holds the offset. Space comes back by "
      "whole\n"
      "segment files, soon after.\n\n"
      "Example:\n  millrace topic trim events --before @2026-01-31T12:00:00Z");
}

}  // namespace

void add_topic(CLI::App& program, Run& run) {
  CLI::App& topic =
      *program.add_subcommand("topic", "Create, list, describe, change, trim and delete topics");
  topic.require_subcommand(1);
  topic.footer("Example:\n  millrace topic create events -p 4 --retention-age 7d");
  const auto flags = std::make_shared<TopicFlags>();
  TopicSpec& spec = flags->topic;

  CLI::App& creates = add_verb(topic, run, flags, "create", "Create a topic", create);
  add_name(creates, flags);
  add_number(creates, "-p,--partitions", spec.partitions, "How many partitions it has",
             {.least = 1, .most = k_partitions_max});
  add_size(creates, "--segment-bytes", spec.segment_bytes,
           "Seal a segment file at this size (default: the server's)");
  add_duration(creates, "--segment-age", spec.segment_age, "Seal it at this age (default: never)");
  add_size(creates, "--retention-bytes", spec.retention_bytes,
           "Keep about this much of a partition (default: everything)");
  add_duration(creates, "--retention-age", spec.retention_age,
               "Remove segments sealed so long ago (default: never)");
  creates.footer("Example:\n  millrace topic create events -p 4 --segment-bytes 64MiB --retention-age 7d");

  add_verb(topic, run, flags, "list", "List the topics", list)
      .footer("Example:\n  millrace topic list --format json");

  CLI::App& describes = add_verb(topic, run, flags, "describe",
                                 "Show a topic's settings and the state of its partitions", describe);
  add_name(describes, flags);
  describes.footer("Example:\n  millrace topic describe events");

  add_alter(topic, run, flags);
  add_trim(topic, run, flags);

  CLI::App& deletes = add_verb(topic, run, flags, "delete", "Delete a topic and all its records", remove);
  add_name(deletes, flags);
  deletes.footer("Example:\n  millrace topic delete events");
}

}  // namespace millrace::tools

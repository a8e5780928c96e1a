// millrace topic create|list|describe|delete
#include <memory>
#include <string>

#include "engine/base/units.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/terminal.h"
#include "tools/with_client.h"

namespace millrace::tools {
namespace {

struct TopicFlags {
  Address server = ClientOptions{}.server;
  OutputFormat format = OutputFormat::table;
  TopicSpec topic;
};
using Flags = std::shared_ptr<TopicFlags>;

std::int64_t milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

std::string id_text(const TopicId& id) {
  std::string text;
  for (const std::byte byte : id.bytes)
    fmt::format_to(std::back_inserter(text), "{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

// 0 means "no limit" and "the server's default" on the wire; here it is null.
Json or_null(std::uint64_t value) {
  return value == 0 ? Json() : Json(value);
}

Json json_of(const TopicSpec& topic) {
  return {{"topic", topic.name},
          {"id", id_text(topic.id)},
          {"partitions", topic.partitions},
          {"segment_bytes", or_null(topic.segment_bytes)},
          {"segment_ms", or_null(static_cast<std::uint64_t>(milliseconds(topic.segment_age)))},
          {"retention_bytes", or_null(topic.retention_bytes)},
          {"retention_ms", or_null(static_cast<std::uint64_t>(milliseconds(topic.retention_age)))}};
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
  flags.topic.id = *id;
  if (flags.format == OutputFormat::json) {
    write_output(json_text(json_of(flags.topic)));
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
    topic["partition"] = rows;
    write_output(json_text(topic));
  } else {
    write_output(list_of(topic) + "\n" + table_of(rows));
  }
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

}  // namespace

void add_topic(CLI::App& program, Run& run) {
  CLI::App& topic = *program.add_subcommand("topic", "Create, list, describe and delete topics");
  topic.require_subcommand(1);
  topic.footer("Example:\n  millrace topic create events -p 4 --retention-age 7d");
  const auto flags = std::make_shared<TopicFlags>();
  TopicSpec& spec = flags->topic;

  CLI::App& creates = add_verb(topic, run, flags, "create", "Create a topic", create);
  add_name(creates, flags);
  creates.add_option("-p,--partitions", spec.partitions, "How many partitions it has")
      ->default_str("1")
      ->type_name("N");
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

  CLI::App& deletes = add_verb(topic, run, flags, "delete", "Delete a topic and all its records", remove);
  add_name(deletes, flags);
  deletes.footer("Example:\n  millrace topic delete events");
}

}  // namespace millrace::tools

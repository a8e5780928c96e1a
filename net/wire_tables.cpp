#include "net/wire_tables.h"

#include <limits>
#include <string>

namespace millrace {
namespace {

Result<Duration> duration_from_wire(const char* what, std::uint64_t milliseconds) {
  constexpr std::uint64_t k_max = static_cast<std::uint64_t>(Duration::max().count()) / 1'000'000;
  if (milliseconds > k_max) {
    return fail(ErrorCode::invalid_argument, "{} of {} ms; at most {} are possible", what, milliseconds,
                k_max);
  }
  return std::chrono::milliseconds(milliseconds);
}

std::uint64_t milliseconds(Duration duration) {
  return static_cast<std::uint64_t>(std::chrono::floor<std::chrono::milliseconds>(duration).count());
}

}  // namespace

Result<Topic> topic_from_wire(std::string_view name, std::uint32_t partitions,
                              const wire::TopicSettings* settings) {
  Topic topic{.name = std::string(name), .id = {}, .partitions = partitions, .settings = {}};
  if (settings == nullptr) return topic;
  if (settings->segment_bytes() != 0) topic.settings.segment_size = settings->segment_bytes();
  topic.settings.retention_bytes = settings->retention_bytes();
  TRY(topic.settings.segment_age, duration_from_wire("a segment age", settings->segment_ms()));
  TRY(topic.settings.retention_age, duration_from_wire("a retention", settings->retention_ms()));
  return topic;
}

Result<Topic> changed_topic(Topic topic, const wire::TopicSettingsChange* change) {
  if (change == nullptr) return topic;
  LogSettings& settings = topic.settings;
  if (const auto bytes = change->segment_bytes())
    settings.segment_size = *bytes == 0 ? LogSettings{}.segment_size : *bytes;
  if (const auto bytes = change->retention_bytes()) settings.retention_bytes = *bytes;
  if (const auto age = change->segment_ms()) {
    TRY(settings.segment_age, duration_from_wire("a segment age", *age));
  }
  if (const auto age = change->retention_ms()) {
    TRY(settings.retention_age, duration_from_wire("a retention", *age));
  }
  return topic;
}

flatbuffers::Offset<wire::TopicSettings> settings_to_wire(flatbuffers::FlatBufferBuilder& builder,
                                                          const LogSettings& settings) {
  return wire::CreateTopicSettings(builder, settings.segment_size, milliseconds(settings.segment_age),
                                   settings.retention_bytes, milliseconds(settings.retention_age));
}

flatbuffers::Offset<wire::TopicDescription> topic_to_wire(flatbuffers::FlatBufferBuilder& builder,
                                                          const Topic& topic) {
  const wire::Id id = to_wire(topic.id);
  const auto name = builder.CreateString(topic.name);
  return wire::CreateTopicDescription(builder, name, &id, topic.partitions,
                                      settings_to_wire(builder, topic.settings));
}

flatbuffers::Offset<wire::Error> error_to_wire(flatbuffers::FlatBufferBuilder& builder, const Error& error,
                                               const ErrorDetails& details) {
  // A message may quote what a peer sent; what it says beyond this helps nobody.
  constexpr std::size_t k_message_max = 1000;
  const auto message =
      builder.CreateString(error.message.data(), std::min(error.message.size(), k_message_max));
  return wire::CreateError(builder, static_cast<std::uint16_t>(error.code), message, retryable(error.code), 0,
                           details.throttle_ms, details.log_start.value_or(Offset{-1}).value(),
                           details.log_end.value_or(Offset{-1}).value());
}

}  // namespace millrace

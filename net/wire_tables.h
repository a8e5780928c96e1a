// Topics and errors between the server's types and the protocol's tables.
#pragma once

#include <flatbuffers/flatbuffers.h>
#include <optional>
#include <string_view>

#include "engine/base/error.h"
#include "engine/wire/protocol_generated.h"
#include "engine/wire/wire_id.h"
#include "net/topic_table.h"

namespace millrace {

// Name, partitions and settings of a topic; id and group are the caller's. Zeros in the settings stand for
// the default or for no limit, and so do settings that are absent. invalid_argument when a duration is too
// long to count in nanoseconds; ranges are for check_topic().
[[nodiscard]] Result<Topic> topic_from_wire(std::string_view name, std::uint32_t partitions,
                                            const wire::TopicSettings* settings);
// The topic with those of its settings replaced that `change` names; errors as above.
[[nodiscard]] Result<Topic> changed_topic(Topic topic, const wire::TopicSettingsChange* change);
[[nodiscard]] flatbuffers::Offset<wire::TopicSettings> settings_to_wire(
    flatbuffers::FlatBufferBuilder& builder, const LogSettings& settings);
[[nodiscard]] flatbuffers::Offset<wire::TopicDescription> topic_to_wire(
    flatbuffers::FlatBufferBuilder& builder, const Topic& topic);

// What an error says besides its code and message.
struct ErrorDetails {
  // With offset_out_of_range: what there is.
  std::optional<Offset> log_start;
  std::optional<Offset> log_end;
  std::uint32_t throttle_ms = 0;
};
[[nodiscard]] flatbuffers::Offset<wire::Error> error_to_wire(flatbuffers::FlatBufferBuilder& builder,
                                                             const Error& error,
                                                             const ErrorDetails& details = {});

}  // namespace millrace

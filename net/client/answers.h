// Answers of the wire as the client library's types. The bytes are a server's: everything is checked before
// it is believed.
#pragma once

#include <span>
#include <vector>

#include "engine/base/error.h"
#include "net/client/call_table.h"
#include "net/client/frame_reader.h"
#include "net/client/types.h"

namespace millrace {

// Nothing when the frame answers a request of type `asked`; the server's own error when it is an error frame;
// protocol_error otherwise.
[[nodiscard]] Result<void> check_answer(const ReceivedFrame& frame, FrameType asked);

[[nodiscard]] Result<ServerInfo> server_info(std::span<const std::byte> table);
[[nodiscard]] Result<TopicId> created_topic(const CallAnswer& answer);
// Appends the topics of one page; whether there is another behind it.
[[nodiscard]] Result<bool> add_listed_topics(const CallAnswer& answer, std::vector<TopicSpec>& topics);
[[nodiscard]] Result<TopicDescription> described_topic(const CallAnswer& answer);
[[nodiscard]] Result<TopicSpec> altered_topic(const CallAnswer& answer);
[[nodiscard]] Result<Produced> produced(const CallAnswer& answer);
[[nodiscard]] Result<std::int64_t> producer_id(const CallAnswer& answer);
[[nodiscard]] Result<Fetched> fetched(const CallAnswer& answer);
[[nodiscard]] Result<ListedOffset> listed_offset(const CallAnswer& answer);
[[nodiscard]] Result<Offset> trimmed(const CallAnswer& answer);
[[nodiscard]] Result<ServerStatus> server_status(const CallAnswer& answer);

}  // namespace millrace

// Reply: how a handler answers its request: once, or not at all.
#pragma once

#include <flatbuffers/flatbuffers.h>
#include <memory>
#include <span>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "net/shard_context.h"
#include "net/wire_tables.h"

namespace millrace {

class ServerConnection;

class Reply {
 public:
  Reply(ServerConnection& connection, FrameType type, std::uint64_t correlation)
      : connection_(connection), type_(type), correlation_(correlation) {}

  [[nodiscard]] ShardContext& context() const;
  [[nodiscard]] ServerConnection& connection() const { return connection_; }

  // For the answer's table: empty. Nothing may suspend between this and send().
  [[nodiscard]] flatbuffers::FlatBufferBuilder& builder() const;
  template <class T>
  void send(flatbuffers::Offset<T> root, std::span<const Slice> payload = {}) {
    builder_in_use().Finish(root);
    send_built(payload);
  }
  void fail(const Error& error, const ErrorDetails& details = {}) const;

 private:
  [[nodiscard]] flatbuffers::FlatBufferBuilder& builder_in_use() const;
  void send_built(std::span<const Slice> payload) const;

  ServerConnection& connection_;
  FrameType type_;
  std::uint64_t correlation_;
};

}  // namespace millrace

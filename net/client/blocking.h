// BlockingClient: the client library for programs without a reactor of their own. It has one inside and runs
// it on the calling thread for as long as a call takes; between calls nothing happens, so also nothing is
// received.
//
//   TRY(BlockingClient client, BlockingClient::connect({.server = address}));
//   TRY_VOID(client.create_topic({.name = "events"}));
//   const RecordView record{.value = bytes};
//   TRY(std::vector<Offset> offsets, client.produce({"events", 0}, {&record, 1}));
//   TRY(std::vector<OwnedRecord> records, client.read({"events", 0}, offsets[0], 10));
//
// The verbs are Client's, with its errors. For more than one thing at a time, run() takes a coroutine and
// gives it the Client, on which Producer and Consumer work; examples/quickstart.cpp does that.
//
// One thread at a time may use it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/record_reader.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "net/client/client.h"
#include "net/client/producer.h"

namespace millrace {

struct OwnedHeader {
  std::string key;
  std::optional<std::string> value;
};
struct OwnedRecord {
  Offset offset;
  std::int64_t timestamp = 0;  // milliseconds since 1970
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<OwnedHeader> headers;
};

class BlockingClient {
 public:
  // Makes the reactor and connects. permission_denied or unsupported where the kernel refuses io_uring, and
  // what Client::connect() gives.
  [[nodiscard]] static Result<BlockingClient> connect(ClientOptions options);
  ~BlockingClient();
  BlockingClient(BlockingClient&&) noexcept;
  BlockingClient& operator=(BlockingClient&&) noexcept;

  [[nodiscard]] Result<TopicId> create_topic(TopicSpec topic);
  [[nodiscard]] Result<std::vector<TopicSpec>> list_topics();
  [[nodiscard]] Result<TopicDescription> describe_topic(std::string name);
  [[nodiscard]] Result<TopicSpec> alter_topic(std::string name, TopicSettingsChange change);
  [[nodiscard]] Result<void> delete_topic(std::string name);
  [[nodiscard]] Result<ListedOffset> list_offset(PartitionName of, OffsetQuery query,
                                                 std::int64_t timestamp = 0);
  [[nodiscard]] Result<Offset> trim(PartitionName of, Offset before);
  [[nodiscard]] Result<ServerStatus> status();

  // Appends the records, in as many batches as they need, and returns their offsets, one each. The error is
  // that of the first batch that failed; others may be in the log. Calls with the same options share one
  // Producer, so take the same ones where you can.
  [[nodiscard]] Result<std::vector<Offset>> produce(const PartitionName& to,
                                                    std::span<const RecordView> records,
                                                    ProducerOptions options = {});
  // Up to `count` records from `from` on, those that are there: none at the log's end. Waits up to `max_wait`
  // for the first one.
  [[nodiscard]] Result<std::vector<OwnedRecord>> read(const PartitionName& from, Offset offset,
                                                      std::size_t count,
                                                      Duration max_wait = Duration::zero());

  // Runs `function(Client&)`, a coroutine that returns a Task<R>, to its end, and gives its R.
  template <class Function>
  auto run(Function function) {
    using R = typename TaskValue<std::invoke_result_t<Function&, Client&>>::Type;
    std::optional<R> result;
    run_task(keep(function, client(), result));
    return *std::move(result);
  }

  [[nodiscard]] Client& client();

 private:
  struct State;
  template <class T>
  struct TaskValue;
  template <class R>
  struct TaskValue<Task<R>> {
    using Type = R;
  };
  template <class Function, class R>
  static Task<void> keep(Function& function, Client& client, std::optional<R>& result) {
    result.emplace(co_await function(client));
  }

  explicit BlockingClient(std::unique_ptr<State> state);
  void run_task(Task<void> task);

  std::unique_ptr<State> state_;
};

}  // namespace millrace

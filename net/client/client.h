// Client: one connection to a server, on a reactor, for any number of requests at once.
//
// Its promise: a request is sent at most once. What the caller hears is then the truth about it:
//
//   a value                      the server did it
//   unavailable                  it was never sent, no connection could be made in time; trying again is safe
//   connection_lost, timed_out   it was sent, or part of it, and no answer came: the outcome is unknown
//   overloaded, "was not sent"   the deadline passed while the server had too many others to answer; trying
//   again is safe any other error              the server's answer: it did not do it (error.h: retryable()
//   says whether later may help)
//
// Life of a request:
//
//   called -> waiting for its turn (no connection yet, or the server's limit of requests in flight) -> sent
//   -> answered
//
// Requests are sent in the order of the calls, also across a reconnect; answers may come in any order. When
// the connection breaks, requests that were sent end with connection_lost, those that still wait stay and are
// sent on the next connection.
//
// The first request connects; after a break the next one connects again, with growing, jittered pauses while
// the server cannot be reached. One Client belongs to one reactor and its thread. A task of a verb may be
// destroyed at any time: then nobody hears the outcome.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/error.h"
#include "engine/base/time.h"
#include "engine/reactor/address.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "net/client/types.h"

namespace millrace {

struct ClientOptions {
  Address server{"127.0.0.1", 7420};
  // Stands in the server's log.
  std::string name = "millrace-client";
  // Refuse a server of another cluster (wrong_folder is its answer); nothing: take any.
  std::optional<ClusterId> cluster{};
  // Bound of one attempt to connect, hello included.
  Duration connect_timeout = std::chrono::seconds(5);
  // How long a request waits for a connection, over as many attempts as fit; 0: until the first attempt has
  // failed.
  Duration connect_patience = std::chrono::seconds(10);
  // Pause after a failed attempt: doubles from the first to the second, give or take a quarter.
  Duration backoff_min = std::chrono::milliseconds(20);
  Duration backoff_max = std::chrono::seconds(1);
  // Deadline of a request that names none, counted from the call.
  Duration request_timeout = std::chrono::seconds(30);
};

struct ProduceOptions {
  Acks acks = Acks::durable;
  Duration timeout{0};  // 0: ClientOptions::request_timeout
};

struct FetchOptions {
  std::uint32_t min_bytes = 1;         // the server waits until there is this much
  std::uint32_t max_bytes = 1u << 20;  // or about this much; at least one entry comes, whatever its size
  Duration max_wait{0};                // how long it waits, whole milliseconds; the answer may then be empty
  Duration timeout{0};                 // as above, counted after max_wait
};

// Counts since the client was made.
struct ClientCounters {
  std::uint64_t connects = 0;          // connections made
  std::uint64_t connect_failures = 0;  // attempts that failed
  std::uint64_t requests = 0;          // sent
  std::uint64_t answers = 0;           // received, errors among them
  std::uint64_t strays = 0;            // answers that nobody waited for any more
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
};

class Client {
 public:
  Client(Reactor& reactor, ClientOptions options);
  // Requests under way end with `cancelled` or `connection_lost`; the connection is closed.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Connects, if there is no connection, and says who answers. One attempt: unavailable when it fails,
  // unsupported_version or the server's own error when the server refuses the hello. Not needed before other
  // requests.
  Task<Result<ServerInfo>> connect();

  // ---- topics
  // topic_exists, invalid_argument (name, partitions, settings), disk_full.
  Task<Result<TopicId>> create_topic(TopicSpec topic);
  Task<Result<std::vector<TopicSpec>>> list_topics();               // sorted by name
  Task<Result<TopicDescription>> describe_topic(std::string name);  // unknown_topic
  // Changes some of its settings, in force when this returns, and gives the topic as it is then. Fewer bytes
  // or a shorter age let old segments go with the server's next look at them. unknown_topic,
  // invalid_argument, disk_full.
  Task<Result<TopicSpec>> alter_topic(std::string name, TopicSettingsChange change);
  // Its records are gone when this returns. unknown_topic.
  Task<Result<void>> delete_topic(std::string name);

  // ---- records
  // Appends one record batch (record_batch.h, base offset 0); Producer builds them. The bytes must not change
  // until the result is there; the slice keeps them. unknown_topic, corrupt_batch, invalid_batch,
  // record_too_large, unsupported_compression, out_of_order_sequence, producer_fenced, unknown_producer (all
  // three for stamped batches only), and the retryable overloaded, disk_full, not_leader, shutting_down.
  Task<Result<Produced>> produce_batch(PartitionName to, Slice batch, ProduceOptions options = {});
  // An id for the stamps of an idempotent producer's batches (record_batch.h), which no other has or will
  // get; Producer asks for its own.
  Task<Result<std::int64_t>> init_producer();
  // Entries from `offset` on, as stored; Consumer decodes them. unknown_topic, offset_out_of_range (the
  // message names what there is).
  Task<Result<Fetched>> fetch(PartitionName from, Offset offset, FetchOptions options = {});
  // earliest: the first record still there. latest: where the next record goes. timestamp: the first record
  // with a timestamp of at least `timestamp` milliseconds since 1970; latest if there is none. unknown_topic;
  // timed_out also when the server's search took too long: the message says how far it came.
  Task<Result<ListedOffset>> list_offset(PartitionName of, OffsetQuery query, std::int64_t timestamp = 0);
  // Lets the server forget records before `before`, and returns where the log starts then (at a batch's
  // begin). unknown_topic, offset_out_of_range.
  Task<Result<Offset>> trim(PartitionName of, Offset before);

  // ---- the server
  Task<Result<ServerStatus>> status();

  // Closes the connection. Requests under way end as in the destructor; later ones are refused with
  // `cancelled`.
  void close();

  [[nodiscard]] bool connected() const;
  [[nodiscard]] Reactor& reactor() const;
  [[nodiscard]] const ClientOptions& options() const;
  [[nodiscard]] const ClientCounters& counters() const;

 private:
  std::shared_ptr<class ClientConnection> connection_;
};

}  // namespace millrace

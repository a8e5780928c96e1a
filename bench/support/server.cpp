#include "bench/support/server.h"

#include <thread>

#include "bench/support/samples.h"

namespace millrace::bench {
namespace {

constexpr std::chrono::seconds k_start_patience(60);
constexpr std::chrono::milliseconds k_rest(500);
constexpr double k_rest_patience_seconds = 60;

// From "millrace 0.1.0: data DIR, listening on 127.0.0.1:40123, 1 shard".
Result<Address> address_in(const std::string& line) {
  constexpr std::string_view k_before = "listening on ";
  const std::size_t at = line.find(k_before);
  if (at == std::string::npos) return fail(ErrorCode::io_error, "the server said: {}", line);
  const std::size_t begin = at + k_before.size();
  return parse_address(line.substr(begin, line.find_first_of(", ", begin) - begin));
}

}  // namespace

Task<Result<Counters>> counters_of(Client& client) {
  CO_TRY(const ServerStatus status, co_await client.status());
  Counters counters;
  for (const CounterValue& counter : status.counters) counters[counter.name] = counter.value;
  co_return counters;
}

Task<Result<Clients>> connect_clients(Reactor& reactor, const Address& server, std::uint32_t count) {
  Clients clients;
  for (std::uint32_t i = 0; i < count; ++i) {
    clients.push_back(
        std::make_unique<Client>(reactor, ClientOptions{.server = server, .name = "millrace-bench"}));
    CO_TRY_VOID(co_await clients.back()->connect());
  }
  co_return clients;
}

Result<Server> Server::start(const Settings& settings, const std::string& data) {
  return start(settings, {.data = data, .flags = {"--shards", "1"}, .cpu = settings.server_cpu});
}

Result<Server> Server::start(const Settings& settings, const ServerSetup& setup) {
  std::vector<std::string> words{settings.millrace, "serve", "--data", setup.data, "--listen", "127.0.0.1:0"};
  words.insert(words.end(), setup.flags.begin(), setup.flags.end());
  TRY(Child child, Child::start(words, setup.cpu));
  TRY(const std::string line, child.read_line(k_start_patience));
  TRY(Address address, address_in(line));
  return Server(std::move(child), std::move(address));
}

Result<Counters> Server::counters() const {
  Counters counters;
  TRY_VOID(with_client(address_, [&](Client& client) -> Task<Result<void>> {
    CO_TRY(counters, co_await counters_of(client));
    co_return Result<void>{};
  }));
  return counters;
}

Result<void> Server::wait_for_rest() const {
  for (const auto end = after_seconds(k_rest_patience_seconds); Clock::now() < end;) {
    const std::uint64_t before = child_.written_bytes();
    std::this_thread::sleep_for(k_rest);
    if (child_.written_bytes() == before) return {};
  }
  return fail(ErrorCode::timed_out, "the server went on writing for {} s", k_rest_patience_seconds);
}

Result<void> Server::stop() {
  child_.ask_to_stop();
  return child_.wait();
}

}  // namespace millrace::bench

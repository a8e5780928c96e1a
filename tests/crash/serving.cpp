#include "tests/crash/serving.h"

#include <gtest/gtest.h>

#include "engine/reactor/shard_threads.h"

namespace millrace::test {
namespace {

std::vector<std::string> serve_command(const ServeOptions& options) {
  std::vector<std::string> command{MILLRACE_PROGRAM, "serve",
                                   "--data",         options.folder,
                                   "--listen",       "127.0.0.1:0",
                                   "--shards",       std::to_string(options.shards),
                                   "--no-pin",       "--log-level",
                                   "info",           "--journal-file-bytes",
                                   "1MiB",           "--unplaced-bytes",
                                   "16MiB",          "--cache-bytes",
                                   "1MiB",           "--ballast-bytes",
                                   "64KiB"};
  command.insert(command.end(), options.more.begin(), options.more.end());
  return command;
}

}  // namespace

ServerProcess::ServerProcess(const ServeOptions& options) : Program(serve_command(options)) {}

bool ServerProcess::ready() {
  static constexpr std::string_view k_before_address = "listening on ";
  const auto line = next_line();
  if (!line) return false;
  const std::size_t at = line->find(k_before_address);
  EXPECT_NE(at, std::string::npos) << *line;
  if (at == std::string::npos) return false;
  const std::size_t from = at + k_before_address.size();
  const auto address = parse_address(line->substr(from, line->find(',', from) - from));
  EXPECT_TRUE(address) << *line;
  if (address) address_ = *address;
  return address.has_value();
}

void ServerProcess::expect_clean_stop() {
  terminate();
  EXPECT_EQ(wait(), 0) << errors();
}

std::vector<std::string> command_line(std::vector<std::string> arguments, const Address& server) {
  arguments.insert(arguments.begin(), MILLRACE_PROGRAM);
  arguments.insert(arguments.end(), {"--server", to_string(server)});
  return arguments;
}

ClientOptions client_options(Address server) {
  return {.server = std::move(server),
          .connect_patience = Duration::zero(),
          .request_timeout = std::chrono::minutes(10)};
}

void with_client(const Address& server, const std::function<Task<void>(Client&)>& script) {
  ShardsOptions options;
  options.ring.registered_bytes = 0;  // for direct I/O, of which clients do none
  const auto ran = run_uring(options, [&](UringReactor& reactor) -> Task<void> {
    Client client(reactor, client_options(server));
    co_await script(client);
  });
  EXPECT_TRUE(ran) << ran.error().message;
}

}  // namespace millrace::test

// The real server on a folder, for a test's clients.
#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <string>

#include "engine/reactor/task.h"
#include "net/client/client.h"
#include "tests/tools/process.h"

namespace millrace::test {

using tools::test::Arguments;
using tools::test::Process;
using tools::test::ServerProcess;
using tools::test::TestFolder;

// What Process::wait() gives for a process that was killed.
inline constexpr int k_killed = 128 + SIGKILL;

// Flags of a server that wraps its journal soon and says on standard error how it found its folder.
[[nodiscard]] Arguments server_flags(std::uint32_t shards, const Arguments& more = {});

// SIGTERM, the clean end that is expected to follow, and everything that the server has said on standard
// error.
std::string errors_after_clean_stop(ServerProcess& server);

// Runs `script` on a reactor of this thread, with a client that gives up at the first failed attempt to
// connect and waits for answers as long as it takes: what a server took and did not answer could otherwise
// still happen when the test no longer expects it.
void with_client(const ServerProcess& server, const std::function<Task<void>(Client&)>& script);

}  // namespace millrace::test

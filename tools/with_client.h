// Running a command that talks to a server.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/reactor/host_port.h"
#include "engine/reactor/uring_reactor.h"
#include "net/client/client.h"

namespace millrace::tools {

// What a command does with its client; the value is the exit status.
using ClientMain = std::function<Task<int>(UringReactor&, Client&)>;

// Who hears SIGINT and SIGTERM: the process ends as usual, or `main` asks for them with until_signal().
enum class Signals : std::uint8_t { end_the_process, are_awaited };

// Runs `main` on a reactor of this thread, with a client that gives up at the first failed attempt to
// connect. A name that cannot be resolved is such an attempt.
int with_client(std::string_view command, const HostPort& server, const ClientMain& main,
                Signals signals = Signals::end_the_process);

// Runs `work` to its end, or until the process is asked to stop: then what it waits for is cancelled, and the
// signal's number is the value. 0: it came to its end.
Task<int> until_signal(Reactor& reactor, Task<void> work);

}  // namespace millrace::tools

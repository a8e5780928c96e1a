// Running a command that talks to a server.
#pragma once

#include <functional>
#include <string_view>

#include "engine/reactor/uring_reactor.h"
#include "net/client/client.h"

namespace millrace::tools {

// What a command does with its client; the value is the exit status.
using ClientMain = std::function<Task<int>(UringReactor&, Client&)>;

// Runs `main` on a reactor of this thread, with a client that gives up at the first failed attempt to
// connect.
int with_client(std::string_view command, const Address& server, const ClientMain& main);

}  // namespace millrace::tools

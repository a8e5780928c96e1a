// What a SimReactor keeps of an open file or socket.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/reactor/sim_reactor.h"

namespace millrace {

struct SimReactor::FileState : HandleState {
  SimFileId file = 0;
  bool is_lock = false;
  bool is_read_only = false;
};

struct SimReactor::SocketState : HandleState {
  SimSocketId socket;
  SimListenerId listener = 0;  // of a listening socket; `socket` means nothing then
  Address local, peer;
};

}  // namespace millrace

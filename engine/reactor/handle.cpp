#include "engine/reactor/handle.h"

#include "engine/reactor/reactor.h"

namespace millrace {

void Handle::release() {
  if (state_ != nullptr && --state_->references == 0) state_->reactor->release_handle(state_);
  state_ = nullptr;
}

}  // namespace millrace

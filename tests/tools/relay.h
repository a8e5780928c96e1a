// Relay: a way to a server that can stop to pass anything on.
#pragma once

#include <atomic>
#include <semaphore>
#include <string>
#include <thread>

namespace millrace::tools::test {

// Passes on the bytes of one connection, the first that is made to its address, both ways. From stall() on it
// passes on nothing, and keeps the connection.
class Relay {
 public:
  // `server` is an address of this machine, as ServerProcess gives it.
  explicit Relay(const std::string& server);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  [[nodiscard]] const std::string& address() const { return address_; }
  // While nothing is on the way.
  void stall() { stalled_ = true; }
  // Returns when the client has sent something after stall(), or the connection is over.
  void wait_for_request() { asked_.acquire(); }

 private:
  void pass_on();

  int listener_ = -1, server_ = -1;
  std::atomic<int> client_ = -1;
  std::string address_;
  std::atomic<bool> stalled_ = false;
  std::binary_semaphore asked_{0};
  std::thread thread_;
};

}  // namespace millrace::tools::test

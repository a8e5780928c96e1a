// The contract's harness for UringReactor: shards on threads, files in a folder of the machine.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/reactor/shard_threads.h"
#include "tests/reactor/contract_harness.h"

namespace millrace {

// A new folder under the system's place for temporary files; removed with what is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class UringHarness : public ReactorHarness {
 public:
  explicit UringHarness(UringOptions options) : options_(options) {}
  void run(std::uint32_t shards, const TestMain& main) override;
  [[nodiscard]] std::string folder() const override { return folder_.path(); }

 private:
  UringOptions options_;
  TemporaryFolder folder_;
};

// A backend of the contract with these options.
[[nodiscard]] Backend uring_backend(std::string name, UringOptions options);

}  // namespace millrace

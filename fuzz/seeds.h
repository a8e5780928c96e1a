// Where first inputs go: FOLDER/TARGET/NAME.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "engine/base/check.h"
#include "fuzz/input.h"

namespace millrace::fuzz {

class Seeds {
 public:
  explicit Seeds(std::filesystem::path folder) : folder_(std::move(folder)) {}
  void write(const std::string& target, const std::string& name, const InputWriter& input) const {
    std::filesystem::create_directories(folder_ / target);
    std::ofstream file(folder_ / target / name, std::ios::binary);
    const auto size = static_cast<std::streamsize>(input.bytes().size());
    file.write(reinterpret_cast<const char*>(input.bytes().data()), size);
    CHECK(file.good(), "{}/{}/{} cannot be written", folder_.string(), target, name);
  }

 private:
  std::filesystem::path folder_;
};

// seeds_folder.cpp
void seed_folder(const Seeds& seeds);

}  // namespace millrace::fuzz

// The identity of a data folder, and the names of what stands in one.
//
// Input: u8 (1, 2: repair the first, the second slot), two chunks: the beginnings of the slots, then a name.
#include "engine/log/identity.h"

#include <string_view>

#include "engine/base/check.h"
#include "engine/log/data_folder.h"
#include "fuzz/input.h"
#include "fuzz/repair.h"

namespace millrace::fuzz {
namespace {

void read_slots(Input& input) {
  const auto repairs = input.take<std::uint8_t>();
  Bytes file;
  for (const int bit : {1, 2}) {
    Bytes slot = input.take_chunk();
    // A file that ends in its first slot.
    if (slot.size() < k_block_size && (repairs & bit) == 0) {
      file.insert(file.end(), slot.begin(), slot.end());
      break;
    }
    slot.resize(k_block_size);
    if ((repairs & bit) != 0) repair_block(slot);
    file.insert(file.end(), slot.begin(), slot.end());
  }
  const auto identity = choose_identity(file);
  if (!identity) {
    const ErrorCode code = identity.error().code;
    CHECK(code == ErrorCode::corruption || code == ErrorCode::unsupported_version ||
              code == ErrorCode::wrong_folder,
          "{}", identity.error().message);
    return;
  }
  Bytes again(k_block_size);
  encode_identity(*identity, again);
  const auto twice = decode_identity(again);
  CHECK(twice && *twice == *identity, "the identity came back changed");
}

// One number has one name: else one thing could stand in two places.
void read_name(std::string_view name) {
  const DataFolder folder("data");
  const auto is_named = [&](const std::string& path) {
    return path.ends_with(std::string("/") + std::string(name));
  };
  if (const auto id = DataFolder::journal_file_id(name))
    CHECK(is_named(folder.journal_file(*id)), "{}", name);
  if (const auto group = DataFolder::group_of(name)) CHECK(is_named(folder.group_folder(*group)), "{}", name);
  if (const auto first = DataFolder::segment_first_index(name)) {
    CHECK(is_named(folder.segment(GroupId{1}, *first)), "{}", name);
  }
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  millrace::fuzz::Input input(data, size);
  millrace::fuzz::read_slots(input);
  const auto name = input.take_rest();
  millrace::fuzz::read_name({reinterpret_cast<const char*>(name.data()), name.size()});
  return 0;
}

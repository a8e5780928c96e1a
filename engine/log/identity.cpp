#include "engine/log/identity.h"

#include <optional>

#include "engine/base/checksum.h"
#include "engine/log/format_bytes.h"

namespace millrace {
namespace {

constexpr std::uint64_t k_identity_magic = magic_of("MRIDENTY");

// Why the whole file cannot be used, from what its two slots said: the first reason that tells the reader
// something.
Error combined(const Error& first, const Error& second) {
  for (const ErrorCode code : {ErrorCode::unsupported_version, ErrorCode::corruption}) {
    for (const Error* error : {&first, &second}) {
      if (error->code == code) return *error;
    }
  }
  return first;
}

}  // namespace

void encode_identity(const Identity& identity, std::span<std::byte> slot) {
  const auto block = slot.first(k_block_size);
  const std::size_t files = identity.journals.empty() ? 0 : identity.journals.front().size();
  CHECK(identity.journals.size() * files <= k_identity_files_max, "{} journals of {} files",
        identity.journals.size(), files);
  FieldWriter to(block.subspan(8));
  to.put<std::uint64_t>(k_identity_magic);
  to.put<std::uint32_t>(k_identity_version);
  to.put<std::uint32_t>(identity.node.value());
  to.put_bytes(identity.cluster.bytes);
  to.put_bytes(identity.incarnation.bytes);
  to.put<std::uint64_t>(identity.generation);
  to.put<std::uint64_t>(identity.start_id);
  to.put<std::uint32_t>(static_cast<std::uint32_t>(identity.journals.size()));
  to.put<std::uint32_t>(static_cast<std::uint32_t>(files));
  to.put<std::uint64_t>(identity.journal_file_size);
  to.put<std::uint64_t>(0);
  for (const auto& journal : identity.journals) {
    CHECK(journal.size() == files);
    for (const std::uint32_t file : journal) to.put<std::uint32_t>(file);
  }
  to.put_zeros(to.left());
  store_le<std::uint64_t>(block.data(), xxh3(block.subspan(8)));
}

Result<Identity> decode_identity(std::span<const std::byte> slot) {
  if (slot.size() < k_block_size)
    return fail(ErrorCode::wrong_folder, "the identity is too short to be one of ours");
  const auto block = slot.first(k_block_size);
  FieldReader from(block);
  const auto checksum = from.get<std::uint64_t>();
  if (from.get<std::uint64_t>() != k_identity_magic) {
    return fail(ErrorCode::wrong_folder, "the identity is none of ours: the magic is missing");
  }
  if (checksum != xxh3(block.subspan(8))) {
    return fail(ErrorCode::corruption, "the identity's checksum does not hold");
  }
  const auto version = from.get<std::uint32_t>();
  if (version != k_identity_version) {
    return fail(ErrorCode::unsupported_version,
                "data folder of version {}, this program reads {}; use the version that wrote it", version,
                k_identity_version);
  }
  Identity identity;
  identity.node = NodeId{from.get<std::uint32_t>()};
  std::ranges::copy(from.get_bytes(identity.cluster.bytes.size()), identity.cluster.bytes.begin());
  std::ranges::copy(from.get_bytes(identity.incarnation.bytes.size()), identity.incarnation.bytes.begin());
  identity.generation = from.get<std::uint64_t>();
  identity.start_id = from.get<std::uint64_t>();
  const auto journals = from.get<std::uint32_t>();
  const auto files = from.get<std::uint32_t>();
  identity.journal_file_size = from.get<std::uint64_t>();
  (void)from.get<std::uint64_t>();
  const bool sizes_hold =
      journals > 0 && files > 0 && std::uint64_t{journals} * files <= k_identity_files_max &&
      identity.journal_file_size >= k_journal_file_size_min &&
      identity.journal_file_size <= k_journal_file_size_max && identity.journal_file_size % k_block_size == 0;
  if (!sizes_hold) {
    return fail(ErrorCode::corruption, "the identity names {} journals of {} files of {} bytes", journals,
                files, identity.journal_file_size);
  }
  identity.journals.assign(journals, std::vector<std::uint32_t>(files));
  for (auto& journal : identity.journals) {
    for (std::uint32_t& file : journal) file = from.get<std::uint32_t>();
  }
  return identity;
}

Result<Identity> choose_identity(std::span<const std::byte> file) {
  auto first = decode_identity(file.first(std::min<std::size_t>(file.size(), k_block_size)));
  auto second = decode_identity(file.subspan(std::min<std::size_t>(file.size(), k_block_size)));
  // A slot of a newer version beside an older one: this program cannot tell which counts.
  for (const auto* slot : {&first, &second}) {
    if (!*slot && slot->error().code == ErrorCode::unsupported_version) return fail(slot->error());
  }
  if (first && second) return second->generation > first->generation ? std::move(second) : std::move(first);
  if (first) return first;
  if (second) return second;
  return fail(combined(first.error(), second.error()));
}

}  // namespace millrace

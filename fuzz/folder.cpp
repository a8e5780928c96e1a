// A damaged data folder: it recovers, or is refused; what was durable and is undamaged is all there; never a
// wrong byte.
//
// Input: u8 how the valid folder's last process ended (0: stopped, 1: killed, 2: power cut), u8 shards of
// that folder (0: one, 1: three), u8 shards that it is opened with (1 to 3), u8 size of reads in 8 KiB, u8
// timestamp to search for, then up to four damages (damage.h).
#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/entry_header.h"
#include "engine/base/record_batch.h"
#include "fuzz/damage.h"
#include "fuzz/folder_verdict.h"

namespace millrace::fuzz {
namespace {

// A batch that is appended after the start.
constexpr std::uint64_t k_new_id = 1000;

EntryHeader header_of(std::string_view entry) {
  const auto header = decode_entry_header(std::as_bytes(std::span(entry)));
  CHECK(header, "{}", header.error().message);
  return *header;
}
std::int64_t timestamp_of(std::string_view entry) {
  const auto batch = std::as_bytes(std::span(entry)).subspan(k_batch_offset_in_entry);
  return decode_batch_header(batch.first<k_batch_header_size>()).max_timestamp;
}

// A group as the start found it, and what was appended since.
struct Opened {
  GroupState state;
  std::map<Index, std::string> entries;
  bool is_damaged = false;
};

class Examination {
 public:
  explicit Examination(Input& input) : folder_(take_folder(input)) {
    shards_ = 1 + input.take<std::uint8_t>() % 3U;
    read_size_ = input.take<std::uint8_t>() * 8_KiB;
    timestamp_ = input.take<std::uint8_t>() % 16;
    damaged_.emplace(folder_, input);
    verdict_ = decide(folder_, *damaged_);
  }

  void run() {
    NodeMachine machine;
    make_small(machine);
    machine.options.shards = shards_;
    damaged_->restore(machine.disk());
    const auto opened = machine.run([&](NodeLogs& logs) { return first_start(logs); });
    if (!opened) return expect_refusal(opened.error(), machine.disk());
    const auto again = machine.run([&](NodeLogs& logs) { return second_start(logs); });
    CHECK(again, "the second start is refused: {}", again.error().message);
  }

 private:
  static const ValidFolder& take_folder(Input& input) {
    const auto end = static_cast<NodeMachine::End>(input.take<std::uint8_t>() % 3);
    return valid_folder(end, input.take<std::uint8_t>() % 2 == 0 ? 1 : 3);
  }
  [[nodiscard]] bool names_damage(const std::string& message) const {
    return std::ranges::any_of(damaged_->damaged(), [&](const std::string& path) {
      const auto missing = DataFolder::segment_first_index(path.substr(path.rfind('/') + 1));
      const bool is_named =
          missing &&
          message.contains(fmt::format("the segment that begins with entry {} is missing", missing->value()));
      return is_named || message.contains(path);
    });
  }

  void expect_refusal(const Error& error, const SimDisk& disk) const {
    CHECK(!verdict_.must_open, "refused without need: {}", error.message);
    CHECK(error.code == ErrorCode::corruption || error.code == ErrorCode::wrong_folder, "{}: {}",
          name(error.code), error.message);
    CHECK(error.message.contains(k_folder), "no file is named: {}", error.message);
    for (const std::string& path : paths_of(disk)) {
      const std::string* bytes = damaged_->find(path);
      const bool is_lock = path == DataFolder(k_folder).lock();  // made again where it is missing
      CHECK(is_lock || (bytes != nullptr && *bytes == disk.read_file(path)), "a refused start has changed {}",
            path);
    }
    for (const auto& [path, bytes] : folder_.files)
      CHECK(damaged_->find(path) == nullptr || disk.read_file(path), "a refused start has removed {}", path);
  }

  Task<void> first_start(NodeLogs& logs) {
    CHECK(!verdict_.loss, "opened, although this is lost: {}", *verdict_.loss);
    for (const auto& groups : logs.node.groups) {
      for (const RecoveredGroup& group : groups)
        CHECK(folder_.groups.contains(group.id), "group {} was never there", group.id.value());
    }
    for (const auto& [group, history] : folder_.groups) {
      const auto state = co_await state_of(logs, group);
      const auto& journal = verdict_.journals[shard_of(group, folder_.shards).value()];
      CHECK(may_be(history, journal, state), "group {} is not as commit {} left it: {}", group.value(),
            journal.most.value(),
            state ? fmt::format("it ends with {}", state->end.last_index.value()) : "gone");
      if (state) co_await examine(logs, group, history, *state);
    }
  }
  Task<void> examine(NodeLogs& logs, GroupId group, const GroupHistory& history, const GroupState& state) {
    Opened& opened = opened_[group];
    opened.state = state;
    opened.entries = {history.entries.begin(), history.entries.upper_bound(state.end.last_index)};
    const std::string files = DataFolder(k_folder).group_folder(group) + "/";
    opened.is_damaged =
        std::ranges::any_of(damaged_->damaged(), [&](const auto& path) { return path.starts_with(files); });
    co_await read_all(logs, group, opened);
    co_await search(logs, group, opened);
    if (opened.is_damaged) co_return;
    const auto appended = co_await logs.on(group, [=](ShardLog& log, Reactor& there) {
      return log.append(group, make_batch(there.buffers(), k_new_id, 700), 1, AckLevel::durable);
    });
    CHECK(appended, "{}", appended.error().message);
    CHECK(appended->base_offset == state.end.next_offset);
    opened.state = *co_await state_of(logs, group);
    co_await read_all(logs, group, opened);
  }
  Task<void> second_start(NodeLogs& logs) {
    for (const auto& [group, history] : folder_.groups) {
      const auto known = opened_.find(group);
      const auto state = co_await state_of(logs, group);
      CHECK(state.has_value() == (known != opened_.end()));
      if (!state) continue;
      CHECK(*state == known->second.state, "group {} ends with {}, and not with {}", group.value(),
            state->end.last_index.value(), known->second.state.end.last_index.value());
      co_await read_all(logs, group, known->second);
    }
  }

  static Task<std::optional<GroupState>> state_of(NodeLogs& logs, GroupId group) {
    co_return co_await logs.on(group, [=](ShardLog& log) -> Task<std::optional<GroupState>> {
      const auto view = log.view(group);
      if (!view) co_return std::nullopt;
      co_return GroupState{view->start, view->durable};
    });
  }

  void expect_damage(const Opened& opened, const Error& error) const {
    CHECK(opened.is_damaged, "a read of an undamaged group is refused: {}", error.message);
    CHECK(error.code == ErrorCode::corruption, "{}: {}", name(error.code), error.message);
    CHECK(names_damage(error.message), "an undamaged file is named: {}", error.message);
  }

  // Every entry is what it was, or refused.
  Task<void> read_all(NodeLogs& logs, GroupId group, Opened& opened) {
    const std::uint64_t size = read_size_;
    for (Offset from = opened.state.start.offset; from < opened.state.end.next_offset;) {
      const auto found = co_await logs.on(group, [=](ShardLog& log) { return log.read(group, from, size); });
      if (!found) {
        expect_damage(opened, found.error());
        from = behind(opened, from);
        continue;
      }
      CHECK(found->next_offset > from, "group {}: a read at {} gives nothing", group.value(), from.value());
      compare(opened, from, *found);
      from = found->next_offset;
    }
  }
  // The next batch after the one that holds `from`.
  static Offset behind(const Opened& opened, Offset from) {
    for (const auto& [index, entry] : opened.entries) {
      const Offset end = header_of(entry).next_offset();
      if (end > from) return end;
    }
    return next(from);
  }
  static void compare(Opened& opened, Offset from, const ReadResult& found) {
    std::optional<Index> last;
    for (const Slice& slice : found.entries) {
      for (auto rest = std::span<const std::byte>(slice.bytes()); !rest.empty();) {
        const auto header = decode_entry_header(rest);
        CHECK(header, "{}", header.error().message);
        const auto bytes = rest.first(entry_size(header->batch_length));
        rest = rest.subspan(padded_entry_size(header->batch_length));
        CHECK(
            last ? header->index == next(*last) : header->base_offset <= from && header->next_offset() > from,
            "entry {} with offset {} at offset {}", header->index.value(), header->base_offset.value(),
            from.value());
        last = header->index;
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        const auto& known = opened.entries.try_emplace(header->index, text).first->second;
        CHECK(known == text, "entry {} has other bytes", header->index.value());
        if (&slice == &found.entries.back() && rest.empty())
          CHECK(found.next_offset == header->next_offset());
      }
    }
  }

  // The first record with the timestamp asked for, or later.
  Task<void> search(NodeLogs& logs, GroupId group, const Opened& opened) {
    Offset expected = opened.state.end.next_offset;
    for (const auto& [index, entry] : opened.entries) {
      const EntryHeader header = header_of(entry);
      const bool fits = header.type == EntryType::batch && header.base_offset >= opened.state.start.offset &&
                        timestamp_of(entry) >= timestamp_;
      if (fits) expected = std::min(expected, header.base_offset);
    }
    const auto found = co_await logs.on(
        group, [=, this](ShardLog& log) { return log.offset_for_timestamp(group, timestamp_); });
    if (!found) {
      expect_damage(opened, found.error());
    } else {
      CHECK(found->offset == expected, "timestamp {} of group {} is at {}, not at {}", timestamp_,
            group.value(), expected.value(), found->offset.value());
    }
  }

  const ValidFolder& folder_;
  std::uint32_t shards_ = 1;
  std::uint64_t read_size_ = 0;
  std::int64_t timestamp_ = 0;
  std::optional<DamagedFolder> damaged_;
  Verdict verdict_;
  std::map<GroupId, Opened> opened_;
};

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millrace::fuzz;
  Input input(data, size);
  Examination(input).run();
  return 0;
}

#include "tests/log/recovery_story.h"

#include <cerrno>

#include "engine/base/checksum.h"
#include "engine/base/trim_payload.h"
#include "engine/log/format_bytes.h"
#include "engine/log/segment_scan.h"

namespace millrace::test {
namespace {

constexpr WallTime k_created_at{1'767'225'600'000};

ClusterId test_cluster() {
  ClusterId cluster;
  cluster.bytes.fill(std::byte{0xc1});
  return cluster;
}

std::string padded_to(std::string bytes, std::uint64_t unit) {
  bytes.resize(round_up(bytes.size(), unit), '\0');
  return bytes;
}

std::span<std::byte> bytes_of(std::string& text) {
  return std::as_writable_bytes(std::span(text));
}

}  // namespace

// ---- TestLog
// --------------------------------------------------------------------------------------------------------

std::string TestEntry::padded() const {
  return padded_to(bytes, k_entry_alignment);
}

TestEntry TestLog::append(const std::string& payload, EntryType type) {
  TestEntry entry;
  entry.header.payload_checksum = xxh3(std::as_bytes(std::span(payload)));
  entry.header.prev_checksum = end.chain;
  entry.header.index = next(end.last_index);
  entry.header.group = id;
  entry.header.type = type;
  entry.header.base_offset = end.next_offset;
  entry.header.batch_length = k_entry_batch_length_min + static_cast<std::int32_t>(payload.size());
  entry.header.term = term;
  entry.bytes.resize(k_entry_header_size);
  entry.header.header_checksum = encode(entry.header, bytes_of(entry.bytes).first<k_entry_header_size>());
  entry.bytes += payload;
  end = {entry.header.index, entry.header.next_offset(), entry.header.header_checksum};
  entries.push_back(entry);
  return entry;
}

TestEntry TestLog::trim(LogStart start) {
  const auto payload = encode(TrimPayload{start.index, start.offset});
  return append(std::string(reinterpret_cast<const char*>(payload.data()), payload.size()), EntryType::trim);
}

ExtentRecord TestLog::put(Index first, const std::vector<TestEntry>& part) {
  std::string& file = segments[first];
  if (file.empty()) {
    file.resize(k_block_size);
    encode_segment_header({test_cluster(), id, first, placed.next_offset, placed.chain, k_created_at},
                          bytes_of(file));
  }
  ExtentRecord extent;
  extent.segment = first;
  extent.position = file.size();
  extent.first_index = part.front().header.index;
  extent.first_offset = part.front().header.base_offset;
  extent.chain_before = part.front().header.prev_checksum;
  for (const TestEntry& entry : part) file += entry.padded();
  file = padded_to(std::move(file), k_block_size);
  extent.length = file.size() - extent.position;
  const EntryHeader& last = part.back().header;
  extent.end = {last.index, last.next_offset(), last.header_checksum};
  placed = extent.end;
  segment = {first, file.size(), true};
  return extent;
}

void TestLog::open_segment() {
  std::string& file = segments[next(end.last_index)];
  file.resize(k_block_size);
  encode_segment_header({test_cluster(), id, next(end.last_index), end.next_offset, end.chain, k_created_at},
                        bytes_of(file));
  segment = {next(end.last_index), k_block_size, true};
}

GroupStateRecord TestLog::state() const {
  GroupStateRecord state;
  state.term = term;
  state.segment = segment;
  state.end = placed;
  return state;
}

// ---- TestJournal
// ----------------------------------------------------------------------------------------------------

TestJournal::TestJournal(std::uint64_t id, std::uint32_t journal, std::vector<std::uint32_t> ids)
    : start_id(id), number(journal), ring(std::move(ids)) {
  for (const std::uint32_t file : ring) files[file].resize(k_journal_size);
}

TestJournal& TestJournal::add(GroupId group, JournalRecordBody body) {
  std::string bytes(journal_record_size(body), '\0');
  encode_journal_record({group, body}, bytes_of(bytes));
  records_.push_back(std::move(bytes));
  return *this;
}

TestJournal& TestJournal::entry(const TestEntry& entry) {
  return add(entry.header.group, EntryRecord{std::as_bytes(std::span(entry.bytes))});
}

void TestJournal::skip_to_next_file() {
  position = round_up(position + 1, k_journal_size);
}

Sequence TestJournal::commit(std::optional<Sequence> complete_through) {
  std::string bytes(k_commit_header_size, '\0');
  for (const std::string& record : records_) bytes += record;
  CommitHeader header;
  header.start_id = start_id;
  header.sequence = next_;
  header.position = position;
  header.complete_through = complete_through.value_or(next_ - 1);
  header.body_length = static_cast<std::uint32_t>(bytes.size() - k_commit_header_size);
  header.body_checksum = xxh3(std::as_bytes(std::span(bytes)).subspan(k_commit_header_size));
  header.record_count = static_cast<std::uint32_t>(records_.size());
  header.journal = number;
  encode_commit_header(header, bytes_of(bytes));
  const std::uint64_t size = bytes.size();
  bytes = padded_to(std::move(bytes), k_block_size);
  const std::uint32_t file = ring[position / k_journal_size % ring.size()];
  files[file].replace(position % k_journal_size, bytes.size(), bytes);
  places[next_] = {file, position % k_journal_size, size};
  position += bytes.size();
  records_.clear();
  return std::exchange(next_, next(next_));
}

// ---- RecoveryStory
// --------------------------------------------------------------------------------------------------

RecoveryStory::RecoveryStory(std::uint64_t seed) : world_(seed), node_(world_.add_node("node")) {
  options.folder = k_folder;
  options.journal_file_size = k_journal_size;
  options.ballast_size = 64_KiB;
  identity.cluster = test_cluster();
  identity.generation = 5;
  identity.start_id = 0x5747a1;
  identity.journal_file_size = k_journal_size;
  add_journal();
}

void RecoveryStory::add_journal() {
  const auto number = static_cast<std::uint32_t>(journals_.size());
  const std::uint32_t first = number * k_journal_files;
  journals_.push_back(std::make_unique<TestJournal>(identity.start_id, number,
                                                    std::vector{first, first + 1, first + 2, first + 3}));
  identity.journals.push_back(journals_.back()->ring);
}

TestLog& RecoveryStory::group(std::uint64_t id) {
  auto& group = groups_[id];
  if (!group) group = std::make_unique<TestLog>(GroupId{id});
  return *group;
}

void RecoveryStory::begin() {
  for (const auto& journal : journals_) {
    std::uint32_t count = 0;
    for (const auto& [id, log] : groups_) {
      if (id % journals_.size() != journal->number) continue;
      journal->add(log->id, log->state());
      ++count;
    }
    journal->checkpoint_end({Sequence{1}, Sequence{1}, count, false}).commit();
    journal->commit();
  }
}

void RecoveryStory::make_folder(const std::string& path) {
  const auto made = disk().create_folder(path);
  ASSERT_TRUE(made || made.error() == EEXIST) << path;
}

void RecoveryStory::write() {
  std::string slots(k_identity_file_size, '\0');
  encode_identity(identity, bytes_of(slots));
  encode_identity(identity, bytes_of(slots).subspan(k_block_size));
  disk().write_file(folder.identity(), slots);
  disk().write_file(folder.lock(), "");
  make_folder(folder.groups_folder());
  for (const auto& journal : journals_) {
    for (const auto& [id, bytes] : journal->files) disk().write_file(folder.journal_file(id), bytes);
  }
  for (const auto& [id, log] : groups_) {
    make_folder(folder.group_folder(log->id));
    for (const auto& [first, bytes] : log->segments) disk().write_file(folder.segment(log->id, first), bytes);
  }
  ASSERT_TRUE(disk().sync_folder(folder.groups_folder(), disk().mark()));
  ASSERT_TRUE(disk().sync_folder(folder.root(), disk().mark()));
}

void RecoveryStory::flip_commit(Sequence sequence, std::uint32_t number) {
  const TestJournal::Place& place = journals_[number]->places.at(sequence);
  flip(folder.journal_file(place.file), place.offset + place.size - 1);
}

void RecoveryStory::run(SimMain main) {
  const SimEnd end = world_.run(node_, std::move(main));
  ASSERT_EQ(end, SimEnd::reached) << world_.waiting();
}

Task<Result<std::vector<std::string>>> read_payloads(Reactor& reactor, DataFolder folder,
                                                     RecoveredGroup group) {
  std::vector<std::string> payloads;
  std::optional<LogEnd> before;
  for (std::size_t i = 0; i < group.segments.size(); ++i) {
    const Index last = i + 1 < group.segments.size() ? group.segments[i + 1] - 1 : group.end.last_index;
    CO_TRY(File file, co_await reactor.open(folder.segment(group.id, group.segments[i]),
                                            {.mode = OpenMode::read, .direct = true}));
    CO_TRY(const SegmentHeader header, co_await read_segment_header(reactor, file));
    SegmentScanner scanner(reactor, file, group.id, range_of(header, last));
    if (before)
      EXPECT_EQ(scanner.end(), *before) << "segment " << group.segments[i].value() << " does not go on";
    while (true) {
      CO_TRY(const auto entry, co_await scanner.next());
      if (!entry) break;
      const auto payload = entry->bytes.subspan(k_entry_header_size);
      payloads.emplace_back(reinterpret_cast<const char*>(payload.data()), payload.size());
    }
    EXPECT_EQ(scanner.end().last_index, last);
    before = scanner.end();
  }
  if (before) EXPECT_EQ(*before, group.end);
  co_return payloads;
}

Result<Opened> RecoveryStory::open() {
  Result<Opened> result = fail(ErrorCode::cancelled, "open_node did not return");
  run([&](Reactor& reactor) -> Task<void> {
    auto node = co_await open_node(reactor, options);
    if (!node) {
      result = fail(node.error());
      co_return;
    }
    Opened opened{node->identity, node->journals, {}, {}, node->created, node->clean, node->notes};
    for (const auto& shard : node->groups) {
      for (const RecoveredGroup& group : shard) {
        auto payloads = co_await read_payloads(reactor, folder, group);
        if (!payloads) ADD_FAILURE() << payloads.error().message;
        opened.payloads[group.id] = payloads.value_or(std::vector<std::string>{});
        opened.groups[group.id] = group;
      }
    }
    result = std::move(opened);
  });
  return result;
}

Opened RecoveryStory::expect_open() {
  auto opened = open();
  if (!opened) {
    ADD_FAILURE() << opened.error().message;
    return {};
  }
  return *std::move(opened);
}

void RecoveryStory::expect_refused(ErrorCode code, const std::string& part) {
  const auto before = content();
  auto opened = open();
  ASSERT_FALSE(opened) << "opened, expected: " << part;
  EXPECT_EQ(opened.error().code, code) << opened.error().message;
  EXPECT_NE(opened.error().message.find(part), std::string::npos) << opened.error().message;
  EXPECT_TRUE(content() == before) << "a refused folder was changed";
}

std::map<std::string, std::string> RecoveryStory::content() {
  std::map<std::string, std::string> content;
  for (const std::string& line : disk().tree()) {
    const std::string path = line.substr(0, line.find(' '));
    if (path.ends_with("/lock")) continue;
    content[path] = path.ends_with('/') ? "" : disk().read_file(path).value_or("");
  }
  return content;
}

}  // namespace millrace::test

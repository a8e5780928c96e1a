#include "engine/log/committer.h"

#include <algorithm>
#include <cstring>

#include "engine/base/checksum.h"
#include "engine/base/endian.h"
#include "engine/base/trim_payload.h"
#include "engine/log/format_bytes.h"
#include "engine/log/journal_room.h"
#include "engine/log/placement.h"
#include "engine/reactor/wait_until.h"

namespace millrace {
namespace {
constexpr Duration k_idle_commit = std::chrono::milliseconds(100);
constexpr Duration k_retry = std::chrono::milliseconds(1);
// With one commit in flight, the next starts beside it only for this much: below, one larger commit is
// quicker than two.
constexpr std::uint64_t k_pipeline_bytes = 256_KiB;
// What one commit sends straight to segments, about: more would only delay its own acknowledgement.
constexpr std::uint64_t k_direct_bytes_max = 2_MiB;
constexpr std::uint64_t k_extent_record_size = k_journal_record_header_size + 72;

std::uint64_t record_size(const GatheredEntry& entry) {
  return k_journal_record_header_size + padded_size(entry.size());
}

// Extents that gathered entries may take, so many of them in place, with those that have no place yet before
// them: each in place is one and ends another, and so does every segment; of those that are cut for their
// size, two neighbours hold more than 1 MiB, padded.
std::uint64_t extents_max(const Group& group, std::size_t in_place) {
  const Index first = segment_of(group, group.place_next)->first_index();
  const auto from = std::lower_bound(group.segments.begin(), group.segments.end(), first,
                                     [](const SegmentRef& s, Index i) { return s->first_index() < i; });
  const auto segments = static_cast<std::uint64_t>(group.segments.end() - from);
  return 2 * in_place + segments + group.unplaced_bytes / 256_KiB + 1;
}

// Where the log begins once the entry is durable; not moved by one that is no trim.
LogStart start_by(const GatheredEntry& entry) {
  if (entry.type != EntryType::trim) return {};
  const auto trim = decode_trim_payload(entry.payload.bytes());
  CHECK(trim.has_value(), "a trim entry that we made: {}", trim.error().message);
  return {trim->start_index, trim->start_offset};
}
}  // namespace

struct Committer::Selection {
  GroupRef group;
  std::size_t count = 0;  // of its gathered entries, from the front
  bool direct = false;
};

struct Committer::Commit {
  struct Part {
    GroupRef group;
    LogEnd end;
    LogStart start;  // by the trims among its entries
    std::uint64_t moves =
        0;  // the mover's extents that this commit describes are whole when so many have finished
    std::shared_ptr<OutstandingExtent> extent;
    void take(const GatheredEntry& entry) {
      end = entry.end;
      start = std::max(start, start_by(entry));
    }
  };
  Sequence sequence{0};
  Buffer buffer;
  std::uint64_t used = k_commit_header_size;
  std::uint32_t record_count = 0;
  HeldMemory memory;
  RecycledVector<Part> parts;
  RecycledVector<Operation<std::uint64_t>> writes;
  RecycledVector<ExtentWrite> extents;
  RecycledVector<MonotonicTime> appended;
  MonotonicTime sealed;
  bool done = false;
  bool empty = false;

  void add(const JournalRecord& record) {
    used += encode_journal_record(record, buffer.bytes().subspan(used));
    ++record_count;
  }
  void add_entry(GroupId group, const GatheredEntry& entry) {
    used += encode_entry_record(
        group, entry.header, entry.payload.length == 0 ? std::span<const std::byte>{} : entry.payload.bytes(),
        buffer.bytes().subspan(used));
    ++record_count;
  }
};

Committer::Committer(LogContext& context, Journal& journal, Mover& mover, EntryCache& cache,
                     std::uint64_t start_id, std::uint32_t journal_number)
    : context_(context),
      journal_(journal),
      mover_(mover),
      cache_(cache),
      start_id_(start_id),
      journal_number_(journal_number),
      complete_through_(journal.next_sequence() - 1),
      work_(context.reactor),
      room_(context.reactor),
      completed_(context.reactor),
      idle_(context.reactor),
      gate_(context.reactor) {
  context.wake_on_failure.insert(context.wake_on_failure.end(), {&work_, &room_, &completed_, &idle_});
}

void Committer::start() {
  gate_.spawn(run());
  gate_.spawn(run_idle());
}

Task<void> Committer::stop() {
  while (!context_.failure && (has_work() || !in_flight_.empty())) co_await completed_.wait();
  if (!context_.failure && !last_was_empty_) {
    want_empty_ = true;
    work_.wake_all();
    while (!context_.failure && (has_work() || !in_flight_.empty())) co_await completed_.wait();
  }
  stopping_ = true;
  work_.wake_all();
  room_.wake_all();
  idle_.wake_all();
  completed_.wake_all();
  co_await gate_.close();
}

void Committer::touch(const GroupRef& group) {
  gathered_bytes_ += group->gathered.back().size();
  if (!group->touched) {
    group->touched = true;
    touched_.push_back(group);
  }
  work_.wake_one();
}

Sequence Committer::add_records(const std::vector<JournalRecord>& records, RecordsOf whose) {
  if (whose == RecordsOf::checkpoint) of_checkpoint_ = true;
  for (const JournalRecord& record : records) {
    const std::size_t at = records_.size();
    records_.resize(at + journal_record_size(record.body));
    encode_journal_record(record, std::span(records_).subspan(at));
    ++record_count_;
  }
  retry();
  return journal_.next_sequence();
}

Task<Result<void>> Committer::wait_complete(Sequence sequence) {
  while (!context_.failure && complete_through_ < sequence) co_await completed_.wait();
  if (context_.failure) co_return fail(*context_.failure);
  co_return Result<void>{};
}

std::uint64_t Committer::reserve() const {
  return entries_reserve(context_.checkpointed_groups(), context_.producers);
}

std::uint64_t Committer::checkpoint_reserve() const {
  return millrace::checkpoint_reserve(context_.checkpointed_groups(), context_.producers);
}

bool Committer::may_seal() const {
  if (!has_work()) return false;
  if (in_flight_.empty()) return true;
  return in_flight_.size() < k_commits_in_flight_max && gathered_bytes_ + records_.size() >= k_pipeline_bytes;
}

Task<void> Committer::run() {
  while (!stopping_ && !context_.failure) {
    if (!may_seal()) {
      co_await work_.wait();
      continue;
    }
    // Everything that can arrive in this turn arrives first.
    co_await context_.reactor.yield();
    while (may_seal() && !context_.failure) {
      if (!seal()) {
        // Memory comes back without a word to us; room in the journal comes with one. Appends that arrive
        // meanwhile change nothing.
        co_await WaitUntil(context_.reactor, room_, context_.reactor.now() + k_retry);
        break;
      }
    }
  }
}

// The empty commit tells that the one before it was complete.
Task<void> Committer::run_idle() {
  while (!stopping_ && !context_.failure) {
    const bool quiet = in_flight_.empty() && !has_work();
    const MonotonicTime due = last_completion_ + k_idle_commit;
    if (last_was_empty_ || !quiet) {
      co_await idle_.wait();
    } else if (context_.reactor.now() < due) {
      co_await context_.reactor.sleep_until(due);
    } else {
      want_empty_ = true;
      work_.wake_one();
      co_await idle_.wait();
    }
  }
}

RecycledVector<Committer::Selection> Committer::select(std::uint64_t& bound) const {
  RecycledVector<Selection> selected;
  const std::uint64_t size_max = commit_size_max(journal_.file_size());
  std::uint64_t direct_bytes = 0;
  // The one that waits for longest first, then those that have little, then the others: small appends do not
  // wait for many large ones.
  const auto has_much = [](const GroupRef& group) {
    std::uint64_t bytes = 0;
    for (const GatheredEntry& entry : group->gathered) {
      bytes += entry.size();
      if (bytes >= k_direct_size_min) return true;
    }
    return false;
  };
  RecycledVector<const GroupRef*> in_order, last;
  for (const GroupRef& group : touched_)
    (in_order.empty() || !has_much(group) ? in_order : last).push_back(&group);
  in_order.insert(in_order.end(), last.begin(), last.end());
  for (const GroupRef* each : in_order) {
    const GroupRef& group = *each;
    struct Share {
      std::size_t count = 0, in_place = 0;
      std::uint64_t bytes = 0, journaled = 0, internal = 0;
    };
    Share share, cut;
    for (const GatheredEntry& entry : group->gathered) {
      const std::uint64_t more = share.bytes + entry.size();
      // What stays behind has to be able to begin an extent: this share may be placed before it comes.
      if (share.count != 0 && entry.may_begin()) cut = share;
      const bool is_much = more >= k_direct_size_min && direct_bytes + more > k_direct_bytes_max;
      // These go through the journal, too, whatever the share's size, and the first share is taken as it is.
      if (share.count != 0 && (is_much || share.internal >= size_max / 2)) {
        CHECK(cut.count != 0, "group {}: no extent may begin within {} bytes", group->id.value(), more);
        share = cut;
        break;
      }
      ++share.count;
      if (entry.in_place) ++share.in_place;
      share.bytes += entry.size();
      share.journaled += record_size(entry);
      if (entry.type != EntryType::batch) share.internal += record_size(entry);
    }
    const bool direct = share.bytes >= k_direct_size_min;
    const std::uint64_t cost =
        direct
            ? share.internal +
                  k_extent_record_size * (group->undescribed.size() + extents_max(*group, share.in_place)) +
                  k_producer_record_size_max * group->producers.undescribed()
            : share.journaled;
    if (!selected.empty() && bound + cost > size_max) break;
    // It waits for the next commit; small entries of those behind it need not.
    if (direct && direct_bytes >= k_direct_bytes_max) continue;
    bound += cost;
    if (direct) direct_bytes += share.bytes;
    selected.push_back({group, share.count, direct});
  }
  return selected;
}

bool Committer::seal() {
  std::uint64_t bound = k_commit_header_size + records_.size();
  RecycledVector<Selection> selected = select(bound);
  if (!selected.empty() && (journal_.room() < round_up_to_block(bound) + reserve() ||
                            !journal_.has_place(round_up_to_block(bound)))) {
    // No room for entries before a checkpoint has made some; records go on.
    selected.clear();
    bound = k_commit_header_size + records_.size();
  }
  // What is small is many in the end: without room for a checkpoint the ring would stay full for ever.
  if (selected.empty() && !of_checkpoint_ &&
      journal_.room() < round_up_to_block(bound) + checkpoint_reserve()) {
    return false;
  }
  if (selected.empty() && record_count_ == 0 && !want_empty_) return false;
  if (!journal_.has_place(round_up_to_block(bound))) return false;
  auto commit = make_recycled<Commit>();
  auto buffer = context_.reactor.buffers().acquire(round_up_to_block(bound), PoolPart::reserve);
  if (!buffer) return false;
  commit->buffer = *std::move(buffer);
  std::memcpy(commit->buffer.data() + commit->used, records_.data(), records_.size());
  commit->used += records_.size();
  commit->record_count = std::exchange(record_count_, 0);
  of_checkpoint_ = false;
  records_.clear();
  for (const Selection& selection : selected) {
    Group& group = *selection.group;
    if (selection.direct) {
      // No memory for its extents: it waits for the next commit.
      if (!take_direct(*commit, group, selection.count)) continue;
    } else {
      take_journaled(*commit, group, selection.count);
    }
    commit->parts.back().group = selection.group;
    group.touched = false;
  }
  std::erase_if(touched_, [](const GroupRef& group) { return !group->touched; });
  // Who was served and has more comes behind all others, so that nobody waits for one that always has more;
  // and last the one that came first: it had its choice, the others what it left.
  const auto come_again = [&](const Commit::Part& part) {
    if (part.group->gathered.empty()) return;
    part.group->touched = true;
    touched_.push_back(part.group);
  };
  for (std::size_t i = 1; i < commit->parts.size(); ++i) come_again(commit->parts[i]);
  if (!commit->parts.empty()) come_again(commit->parts.front());
  commit->empty = commit->record_count == 0;
  if (commit->empty && !want_empty_) return false;
  want_empty_ = false;
  submit(commit);
  return true;
}

void Committer::take_journaled(Commit& commit, Group& group, std::size_t count) {
  Commit::Part& part = commit.parts.emplace_back();
  for (std::size_t i = 0; i < count; ++i) {
    const GatheredEntry& entry = group.gathered.front();
    const auto at = static_cast<std::uint32_t>(commit.used + k_journal_record_header_size);
    commit.add_entry(group.id, entry);
    const auto header = std::span(entry.header);
    group.tail.push_back({Slice{commit.buffer, at, padded_size(entry.size())}, entry.size(),
                          Offset{load_be<std::int64_t>(header.data() + 48)}, entry.end.next_offset,
                          entry.max_timestamp, entry.reserved});
    commit.appended.push_back(entry.at);
    gathered_bytes_ -= entry.size();
    context_.held -= context_.memory_of(entry.payload);
    part.take(entry);
    group.gathered.pop_front();
  }
}

bool Committer::take_direct(Commit& commit, Group& group, std::size_t count) {
  const std::size_t unplaced = group.tail_end() - group.place_next;
  std::vector<Piece>& pieces = pieces_;
  pieces_of_tail(group, group.tail_end() - 1, ~std::uint64_t{0}, pieces);
  for (std::size_t i = 0; i < count; ++i) {
    const GatheredEntry& entry = group.gathered[i];
    pieces.push_back({entry.header,
                      entry.payload.length == 0 ? std::span<const std::byte>{} : entry.payload.bytes(),
                      entry.in_place ? entry.payload.buffer : Buffer{},
                      Offset{load_be<std::int64_t>(entry.header.data() + 48)}, entry.end, entry.max_timestamp,
                      entry.reserved});
  }
  auto placed = place(context_, group, pieces);
  if (!placed) return false;
  for (const ExtentRecord& extent : group.undescribed) commit.add({group.id, extent});
  group.undescribed.clear();
  for (const ExtentRecord& extent : placed->extents) {
    commit.add({group.id, extent});
    context_.counters.direct_bytes += extent.length;
  }
  // Its batches are not in the journal, so it has to tell who sent them. Batches that are still gathered may
  // be among those told of: they come in a later commit, and if that does not come, the next start drops
  // them.
  group.producers.describe_each(
      [&](const KnownProducer& producer) { commit.add({group.id, ProducerRecord{producer}}); });
  context_.counters.direct_extents += placed->extents.size();
  context_.counters.direct_bytes_copied += placed->copied;
  Commit::Part& part = commit.parts.emplace_back();
  part.moves = group.moves_started;
  part.extent = std::move(placed->outstanding);
  for (std::size_t i = 0; i < count; ++i) {
    const GatheredEntry& entry = group.gathered.front();
    // A restart folds the journal alone, so that has all entries that say something of the log itself.
    if (entry.type != EntryType::batch) commit.add_entry(group.id, entry);
    group.tail.push_back({placed->bytes[unplaced + i], entry.size(), pieces[unplaced + i].base_offset,
                          entry.end.next_offset, entry.max_timestamp, 0});
    commit.appended.push_back(entry.at);
    gathered_bytes_ -= entry.size();
    context_.held -= context_.memory_of(entry.payload);
    part.take(entry);
    group.gathered.pop_front();
  }
  pieces.clear();
  commit.memory += placed->memory;
  context_.held += placed->memory;
  std::move(placed->writes.begin(), placed->writes.end(), std::back_inserter(commit.extents));
  return true;
}

void Committer::submit(const std::shared_ptr<Commit>& commit) {
  const std::uint64_t size = round_up_to_block(commit->used);
  std::memset(commit->buffer.data() + commit->used, 0, size - commit->used);
  const CommitPlace place = journal_.place(size);
  CommitHeader header;
  header.start_id = start_id_;
  header.sequence = place.sequence;
  header.position = place.position;
  header.complete_through = complete_through_;
  header.body_length = static_cast<std::uint32_t>(commit->used - k_commit_header_size);
  header.body_checksum = xxh3(commit->buffer.bytes().subspan(k_commit_header_size, header.body_length));
  header.record_count = commit->record_count;
  header.journal = journal_number_;
  header.generation = context_.generation;
  encode_commit_header(header, commit->buffer.bytes().first(k_commit_header_size));

  const HeldMemory own = context_.memory_of(commit->buffer);
  commit->memory += own;
  context_.held += own;
  commit->sequence = place.sequence;
  commit->sealed = context_.reactor.now();
  for (const MonotonicTime at : commit->appended) context_.latencies.queue.record(commit->sealed - at);
  Reactor& reactor = context_.reactor;
  // If power fails from here on, recovery finds this commit whole or cuts it: nobody has been answered for it
  // yet.
  commit->writes.push_back(reactor.write(
      place.file, Slice{commit->buffer, 0, static_cast<std::uint32_t>(size)}, place.offset, Sync::data));
  for (ExtentWrite& write : commit->extents) {
    commit->writes.push_back(
        reactor.write(write.segment->file, std::move(write.slices), write.position, Sync::data));
  }
  ++context_.counters.commits;
  context_.counters.commit_bytes += size;
  in_flight_.push_back(commit);
  gate_.spawn(finish(commit));
}

Task<void> Committer::finish(std::shared_ptr<Commit> commit) {
  for (auto& write : commit->writes) {
    auto written = co_await std::move(write);
    if (!written) {
      context_.fail(std::move(written).error());
      co_return;
    }
  }
  for (const Commit::Part& part : commit->parts) {
    while (part.group->moves_finished < part.moves && !context_.failure) co_await part.group->moved.wait();
  }
  if (context_.failure) co_return;
  context_.latencies.write.record(context_.reactor.now() - commit->sealed);
  commit->done = true;
  while (!in_flight_.empty() && in_flight_.front()->done) {
    const auto first = std::move(in_flight_.front());
    in_flight_.pop_front();
    complete(*first);
  }
  completed_.wake_all();
  retry();
  idle_.wake_all();
}

void Committer::complete(Commit& commit) {
  complete_through_ = commit.sequence;
  last_was_empty_ = commit.empty;
  last_completion_ = context_.reactor.now();
  for (const MonotonicTime at : commit.appended) context_.latencies.append.record(last_completion_ - at);
  RecycledVector<EntryCache::Run> runs;
  for (Commit::Part& part : commit.parts) {
    Group& group = *part.group;
    group.durable = part.end;
    // Here, and not by who waits for the trim: a checkpoint that begins behind this commit must tell of it.
    group.start = std::max(group.start, part.start);
    if (part.extent) {
      part.extent->done = true;
      advance_placed(context_, part.group);
    }
    while (!group.durable_waiting.empty() && group.durable_waiting.front() <= group.durable.last_index) {
      group.durable_waiting.pop_front();
      group.durable_changed.wake_one();
    }
    group.readable.wake_all();
    runs.push_back({part.group, part.end.last_index});
    mover_.offer(part.group);
  }
  if (runs.empty()) {
    context_.held -= commit.memory;
  } else {
    cache_.add(commit.memory, std::move(runs));
  }
  mover_.progress().wake_all();
  mover_.make_room_in_cache();
  // Whatever the cache holds: what the entries held before the commit was sealed may have been more, and in
  // another shard's pool.
  context_.space.wake_all();
}

}  // namespace millrace

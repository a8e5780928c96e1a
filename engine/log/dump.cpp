#include "engine/log/dump.h"

#include <algorithm>

#include "engine/base/entry_header.h"
#include "engine/base/uuid.h"
#include "engine/log/journal_scan.h"
#include "engine/log/open_node_parts.h"
#include "engine/log/segment_scan.h"

namespace millrace {
namespace {

using Fields = std::vector<std::pair<std::string, DumpValue>>;

std::string hex(std::uint64_t number) {
  return fmt::format("{:016x}", number);
}

std::string name_of(EntryType type) {
  switch (type) {
    case EntryType::batch:
      return "batch";
    case EntryType::no_op:
      return "no_op";
    case EntryType::configuration:
      return "configuration";
    case EntryType::trim:
      return "trim";
    case EntryType::gap:
      return "gap";
  }
  return fmt::format("type {}", static_cast<int>(type));
}

void add(Fields& fields, const LogEnd& end) {
  fields.emplace_back("last_index", end.last_index.value());
  fields.emplace_back("next_offset", end.next_offset.value());
  fields.emplace_back("chain", hex(end.chain));
}

void add(Fields& fields, const SegmentEnd& end) {
  fields.emplace_back("segment", end.segment.value());
  fields.emplace_back("segment_end", end.position);
}

void add_vote(Fields& fields, Term term, const std::optional<NodeId>& voted_for) {
  fields.emplace_back("term", std::int64_t{term.value()});
  fields.emplace_back("voted_for", voted_for ? std::to_string(voted_for->value()) : "nobody");
}

void add(Fields& fields, const EntryHeader& header) {
  fields.emplace_back("index", header.index.value());
  fields.emplace_back("term", std::int64_t{header.term.value()});
  fields.emplace_back("type", name_of(header.type));
  fields.emplace_back("offset", header.base_offset.value());
  fields.emplace_back("records", std::uint64_t{header.offset_count});
  fields.emplace_back("payload", std::uint64_t{header.payload_size()});
  fields.emplace_back("chain", hex(header.header_checksum));
  fields.emplace_back("prev", hex(header.prev_checksum));
}

struct FieldsOf {
  Fields operator()(const EntryRecord& record) const {
    Fields fields{{"record", "entry"}};
    if (const auto header = decode_entry_header(record.entry)) {
      add(fields, *header);
    } else {
      fields.emplace_back("damage", header.error().message);
    }
    return fields;
  }
  Fields operator()(const VoteRecord& record) const {
    Fields fields{{"record", "vote"}};
    add_vote(fields, record.term, record.voted_for);
    return fields;
  }
  Fields operator()(const ExtentRecord& record) const {
    Fields fields{{"record", "extent"},
                  {"segment", record.segment.value()},
                  {"position", record.position},
                  {"length", record.length},
                  {"first_index", record.first_index.value()}};
    add(fields, record.end);
    return fields;
  }
  Fields operator()(const CutRecord& record) const {
    Fields fields{{"record", "cut"}};
    add(fields, record.end);
    add(fields, record.segment);
    return fields;
  }
  Fields operator()(const ProducerRecord& record) const {
    const KnownProducer& state = record.state;
    Fields fields{{"record", "producer"},
                  {"producer", state.id},
                  {"epoch", std::int64_t{state.epoch}},
                  {"next_sequence", std::int64_t{state.next_sequence}}};
    std::string batches;
    for (const ProducerBatch& batch : state.known()) {
      batches += fmt::format("{}{}-{}@{}", batches.empty() ? "" : " ", batch.first_sequence,
                             batch.last_sequence, batch.base_offset.value());
    }
    fields.emplace_back("batches", batches);
    return fields;
  }
  Fields operator()(const GroupStateRecord& record) const {
    Fields fields{{"record", "group_state"}};
    add_vote(fields, record.term, record.voted_for);
    fields.emplace_back("start_index", record.start.index.value());
    fields.emplace_back("start_offset", record.start.offset.value());
    add(fields, record.end);
    add(fields, record.segment);
    fields.emplace_back("open", record.segment.open);
    return fields;
  }
  Fields operator()(const CheckpointEndRecord& record) const {
    return {{"record", "checkpoint_end"},
            {"replay_from", record.replay_from.value()},
            {"first", record.first.value()},
            {"groups", std::uint64_t{record.group_count}},
            {"clean", record.clean}};
  }
  Fields operator()(const GroupRemovedRecord&) const { return {{"record", "group_removed"}}; }
};

class Dumper {
 public:
  Dumper(Reactor& reactor, const std::string& folder, DumpOptions options, DumpSink sink)
      : context_{reactor, options_of(folder), DataFolder(folder), {}, {}},
        options_(options),
        sink_(std::move(sink)) {}

  Task<Result<void>> run() {
    auto dumped = co_await dump_all();
    if (stopped_) co_return Result<void>{};
    co_return dumped;
  }

 private:
  Task<Result<void>> dump_all() {
    CO_TRY(context_.identity, co_await read_identity(context_));
    CO_TRY_VOID(dump_identity());
    if (options_.journals) {
      for (const auto& journal : context_.identity.journals) {
        for (const std::uint32_t file : journal) CO_TRY_VOID(co_await dump_journal_file(file));
      }
    }
    if (options_.segments) CO_TRY_VOID(co_await dump_groups());
    if (options_.group && !group_met_ && !damage_met_) {
      co_return fail(ErrorCode::not_found,
                     "{} holds nothing of group {}; topic describe names the group of each partition{}",
                     context_.folder.root(), options_.group->value(),
                     options_.all_commits ? "" : ", and --all-commits shows commits of earlier starts, too");
    }
    co_return Result<void>{};
  }

  // `cancelled` when the sink has enough: the way out of everything is the one that errors take.
  Result<void> emit(std::string kind, const std::string& file, std::uint64_t position, Fields fields) {
    stopped_ = sink_({std::move(kind), file, position, std::move(fields)}) == DumpNext::stop;
    if (stopped_) return fail(ErrorCode::cancelled, "the sink has enough");
    return {};
  }
  Result<void> emit_damage(const std::string& file, std::uint64_t position, const std::string& what) {
    damage_met_ = true;
    return emit("damage", file, position, {{"what", what}});
  }
  [[nodiscard]] bool is_wanted(GroupId group) const { return !options_.group || *options_.group == group; }
  // The end of a checkpoint is of no group.
  [[nodiscard]] bool is_wanted(const JournalRecord& record) const {
    return std::holds_alternative<CheckpointEndRecord>(record.body) ? !options_.group
                                                                    : is_wanted(record.group);
  }
  // Whether there is something in it to show, damage included.
  [[nodiscard]] bool is_wanted(const ScannedCommit& commit) const {
    if (!options_.group) return true;
    JournalRecordReader reader(commit.body);
    while (!reader.done()) {
      const auto record = reader.next();
      if (!record || is_wanted(*record)) return true;
    }
    return false;
  }

  Result<void> dump_identity() {
    const Identity& identity = context_.identity;
    Fields fields{{"cluster", to_string(identity.cluster)},
                  {"node", std::uint64_t{identity.node.value()}},
                  {"incarnation", to_string(identity.incarnation)},
                  {"generation", identity.generation},
                  {"start_id", hex(identity.start_id)},
                  {"journal_file_size", identity.journal_file_size}};
    for (std::size_t i = 0; i < identity.journals.size(); ++i) {
      fields.emplace_back(fmt::format("journal_{}", i),
                          fmt::format("{}", fmt::join(identity.journals[i], ",")));
    }
    return emit("identity", context_.folder.identity(), 0, std::move(fields));
  }

  Task<Result<void>> dump_journal_file(std::uint32_t id) {
    const std::string path = context_.folder.journal_file(id);
    auto commits = co_await list_commits(context_.reactor, path, id);
    if (!commits && commits.error().code == ErrorCode::not_found) {
      co_return emit_damage(path, 0, "the file is missing");
    }
    if (!commits) co_return fail(std::move(commits).error());
    for (const auto& [commit, is_whole] : *commits) {
      if (commit.header.start_id != context_.identity.start_id && !options_.all_commits) continue;
      if (is_whole && !is_wanted(commit)) continue;
      CO_TRY_VOID(dump_commit(path, commit, is_whole));
    }
    co_return Result<void>{};
  }

  Result<void> dump_commit(const std::string& path, const ScannedCommit& commit, bool is_whole) {
    const CommitHeader& header = commit.header;
    TRY_VOID(emit("commit", path, commit.place.offset,
                  {{"sequence", header.sequence.value()},
                   {"start_id", hex(header.start_id)},
                   {"generation", header.generation},
                   {"journal", std::uint64_t{header.journal}},
                   {"complete_through", header.complete_through.value()},
                   {"records", std::uint64_t{header.record_count}},
                   {"bytes", header.size()}}));
    if (!is_whole)
      return emit_damage(path, commit.place.offset, "the commit's body does not match its checksum");
    JournalRecordReader reader(commit.body);
    while (!reader.done()) {
      auto record = reader.next();
      if (!record) return emit_damage(path, commit.place.offset, record.error().message);
      if (!is_wanted(*record)) continue;
      group_met_ = true;
      Fields fields = std::visit(FieldsOf{}, record->body);
      if (!std::holds_alternative<CheckpointEndRecord>(record->body))
        fields.emplace(fields.begin() + 1, "group", record->group.value());
      TRY_VOID(emit("record", path, commit.place.offset, std::move(fields)));
    }
    return {};
  }

  Task<Result<void>> dump_groups() {
    CO_TRY(const std::vector<FolderEntry> groups,
           co_await context_.reactor.list(context_.folder.groups_folder()));
    for (const FolderEntry& folder : groups) {
      const auto group = DataFolder::group_of(folder.name);
      if (!group || !is_wanted(*group)) continue;
      group_met_ = true;
      CO_TRY(const std::vector<FolderEntry> files,
             co_await context_.reactor.list(context_.folder.group_folder(*group)));
      for (const FolderEntry& file : files) {
        const auto first = DataFolder::segment_first_index(file.name);
        if (first) CO_TRY_VOID(co_await dump_segment(context_.folder.segment(*group, *first)));
      }
    }
    co_return Result<void>{};
  }

  Task<Result<void>> dump_segment(std::string path) {
    CO_TRY(File file, co_await context_.reactor.open(path, {.mode = OpenMode::read, .direct = true}));
    auto header = co_await read_segment_header(context_.reactor, file);
    if (!header && header.error().code == ErrorCode::io_error) co_return fail(std::move(header).error());
    if (!header) co_return emit_damage(path, 0, header.error().message);
    CO_TRY_VOID(emit("segment", path, 0,
                     {{"group", header->group.value()},
                      {"first_index", header->first_index.value()},
                      {"first_offset", header->first_offset.value()},
                      {"chain_before", hex(header->chain_before)},
                      {"cluster", to_string(header->cluster)},
                      {"created_at", header->created_at.milliseconds}}));
    CO_TRY(const auto footer, co_await read_footer(context_.reactor, file));
    ScanRange range = range_of(*header);
    if (footer) {
      range.last = footer->end.last_index;
      range.end_position = footer->end_position;
    }
    CO_TRY_VOID(co_await dump_entries(path, file, header->group, range));
    if (footer) co_return dump_footer(path, *footer);
    co_return Result<void>{};
  }

  Task<Result<void>> dump_entries(std::string path, File file, GroupId group, ScanRange range) {
    SegmentScanner scanner(context_.reactor, std::move(file), group, range);
    while (true) {
      auto entry = co_await scanner.next();
      if (!entry && entry.error().code != ErrorCode::corruption) co_return fail(std::move(entry).error());
      // Behind the log's end it is what a torn or a cut write has left; only the journal tells.
      if (!entry) co_return emit_damage(path, scanner.position(), entry.error().message);
      if (!*entry) co_return Result<void>{};
      Fields fields;
      add(fields, (*entry)->header);
      CO_TRY_VOID(emit("entry", path, (*entry)->position, std::move(fields)));
    }
  }

  Result<void> dump_footer(const std::string& path, const SegmentFooter& footer) {
    Fields fields{{"items", std::uint64_t{footer.index.size()}}};
    add(fields, footer.end);
    fields.emplace_back("max_timestamp", footer.max_timestamp);
    fields.emplace_back("sealed_at", footer.sealed_at.milliseconds);
    return emit("footer", path, footer.end_position, std::move(fields));
  }

  OpenContext context_;
  DumpOptions options_;
  DumpSink sink_;
  bool stopped_ = false;    // by the sink
  bool group_met_ = false;  // the one that is asked for
  bool damage_met_ = false;
};

}  // namespace

std::string to_line(const DumpItem& item) {
  std::string line =
      fmt::format("{} {}:{}", item.kind, item.file.substr(item.file.find_last_of('/') + 1), item.position);
  for (const auto& [name, value] : item.fields) {
    line += fmt::format(" {}=", name);
    line += std::visit(
        [](const auto& v) {
          if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string>) {
            return v.find(' ') == std::string::npos ? v : fmt::format("\"{}\"", v);
          } else {
            return fmt::format("{}", v);
          }
        },
        value);
  }
  return line;
}

Task<Result<void>> dump_folder(Reactor& reactor, std::string folder, DumpOptions options, DumpSink sink) {
  Dumper dumper(reactor, folder, options, std::move(sink));
  co_return co_await dumper.run();
}

}  // namespace millrace

#include "tools/produce_report.h"

#include <array>
#include <fmt/format.h>

#include "engine/base/record_batch.h"
#include "tools/terminal.h"

namespace millrace::tools {
namespace {

constexpr Duration k_progress_interval = std::chrono::seconds(1);

// 1234567 as "1,234,567".
std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

// "512 B", "5.9 MB": powers of 1000, as rates of devices and networks are given.
std::string decimal_size(double bytes) {
  constexpr std::array<std::string_view, 4> k_names = {"kB", "MB", "GB", "TB"};
  if (bytes < 1000) return fmt::format("{:.0f} B", bytes);
  std::size_t unit = 0;
  for (bytes /= 1000; bytes >= 1000 && unit + 1 < k_names.size(); bytes /= 1000) ++unit;
  return fmt::format("{:.1f} {}", bytes, k_names[unit]);
}

// "1 record", "1,234,567 records".
std::string records(std::uint64_t count) {
  return fmt::format("{} record{}", grouped(count), count == 1 ? "" : "s");
}

std::uint64_t rate(std::uint64_t count, double seconds) {
  return static_cast<std::uint64_t>(static_cast<double>(count) / seconds);
}

// Rounded to the nearest.
std::uint64_t mean(std::uint64_t sum, std::uint64_t count) {
  return (sum + count / 2) / count;
}

double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

std::string_view acks_name(Acks acks) {
  switch (acks) {
    case Acks::none:
      return "sent without acknowledgement";
    case Acks::leader:
      return "acknowledged from memory";
    case Acks::durable:
      return "acknowledged durable";
  }
  return "";
}

}  // namespace

ProduceReport::~ProduceReport() {
  if (watched_) *watched_ = nullptr;
}

void ProduceReport::start(const ProducerStatistics& statistics) {
  statistics_ = &statistics;
  started_ = reactor_.now();
  if (!error_is_terminal()) return;
  watched_ = std::make_shared<ProduceReport*>(this);
  reactor_.spawn(show_progress(reactor_, watched_));
}

Task<void> ProduceReport::show_progress(Reactor& reactor, std::shared_ptr<ProduceReport*> report) {
  for (;;) {
    static_cast<void>(co_await reactor.sleep(k_progress_interval));
    if (*report == nullptr) co_return;
    (*report)->print_progress();
  }
}

void ProduceReport::print_progress() {
  const double elapsed = milliseconds(reactor_.now() - started_) / 1e3;
  progress_shown_ = true;
  const std::uint64_t delivered = statistics_->records_delivered;
  write_error(fmt::format("\r{} delivered, {} read, {}/s   ", records(delivered),
                          decimal_size(static_cast<double>(statistics_->record_bytes)),
                          records(rate(delivered, elapsed))));
}

void ProduceReport::delivered(const Delivery& delivery) {
  if (!flags_.acked || !delivery.result) return;
  const Result<void> printed = print_acked(delivery);
  CHECK(printed, "a batch that this program built: {}", printed.error().message);
  output_.leave();
}

Result<void> ProduceReport::print_acked(const Delivery& delivery) {
  const BatchHeader header = decode_batch_header(delivery.batch.first<k_batch_header_size>());
  TRY(const auto bytes, inflater_.inflate_records(header, delivery.batch, inflated_));
  RecordReader reader(header, bytes);
  RecordView record;
  for (std::int64_t i = 0;; ++i) {
    TRY(const bool more, reader.next(record));
    if (!more) return {};
    const Offset base = delivery.result->base_offset;
    record.offset = base.value() < 0 ? base : base + i;
    flags_.acked->print(delivery.topic, delivery.partition, record, output_.text());
  }
}

void ProduceReport::finish(bool succeeded, std::uint64_t not_taken) {
  if (watched_) *watched_ = nullptr;
  if (progress_shown_) write_error("\r\x1b[K");
  const ProducerStatistics& all = *statistics_;
  const double elapsed = std::max(milliseconds(reactor_.now() - started_) / 1e3, 1e-6);
  const auto bytes = static_cast<double>(all.record_bytes_delivered);
  std::string text;
  if (succeeded || all.records_delivered != 0) {
    text +=
        fmt::format("{}, {} in {:.2f} s: {}/s, {}/s\n", records(all.records_delivered), decimal_size(bytes),
                    elapsed, records(rate(all.records_delivered, elapsed)), decimal_size(bytes / elapsed));
  }
  if (all.latency.count() != 0) {
    text += fmt::format("{} in batches of {}: p50 {:.3f} ms, p99 {:.3f} ms, p99.9 {:.3f} ms, max {:.3f} ms\n",
                        acks_name(flags_.acks), records(mean(all.records_delivered, all.latency.count())),
                        milliseconds(all.latency.percentile(50)), milliseconds(all.latency.percentile(99)),
                        milliseconds(all.latency.percentile(99.9)), milliseconds(all.latency.max()));
  }
  const std::uint64_t not_written = all.records_failed + not_taken;
  if (not_written != 0) text += fmt::format("{} not written\n", records(not_written));
  if (const std::uint64_t in_doubt = records_in_doubt(); in_doubt != 0)
    text += fmt::format("{} may or may not have been written\n", records(in_doubt));
  write_error(text);
}

std::uint64_t ProduceReport::records_in_doubt() const {
  return statistics_->records - statistics_->records_delivered - statistics_->records_failed;
}

}  // namespace millrace::tools

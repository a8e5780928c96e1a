// What `millrace produce` says: lines for acknowledged records, progress for a person who watches, a summary
// at the end.
#pragma once

#include <memory>

#include "engine/base/compression.h"
#include "engine/base/time.h"
#include "engine/reactor/reactor.h"
#include "net/client/producer.h"
#include "tools/output_writer.h"
#include "tools/produce.h"

namespace millrace::tools {

class ProduceReport {
 public:
  ProduceReport(const ProduceFlags& flags, Reactor& reactor, OutputWriter& output)
      : flags_(flags), reactor_(reactor), output_(output) {}
  ~ProduceReport();
  ProduceReport(const ProduceReport&) = delete;
  ProduceReport& operator=(const ProduceReport&) = delete;

  // From here on time counts.
  void start(const ProducerStatistics& statistics);
  // The acknowledged records' lines leave as soon as those before them have.
  void delivered(const Delivery& delivery);
  // The summary. After a failure it counts what became of the records, those among them that were read and
  // not taken by the producer; before any, there is nothing to say.
  void finish(bool succeeded, std::uint64_t not_taken);
  // Records that may or may not have been written: those of which that was heard, and those that have met no
  // fate, on their way when a second signal ends it.
  [[nodiscard]] std::uint64_t records_in_doubt() const;

 private:
  static Task<void> show_progress(Reactor& reactor, std::shared_ptr<ProduceReport*> report);
  void print_progress();
  [[nodiscard]] Result<void> print_acked(const Delivery& delivery);

  const ProduceFlags& flags_;
  Reactor& reactor_;
  OutputWriter& output_;
  const ProducerStatistics* statistics_ = nullptr;
  std::shared_ptr<ProduceReport*> watched_;  // points to nothing once this is gone
  MonotonicTime started_{};
  bool progress_shown_ = false;
  Inflater inflater_;
  std::vector<std::byte> inflated_;
};

}  // namespace millrace::tools

// What `millrace produce` says: lines for acknowledged records, progress for a person who watches, a summary
// at the end.
#pragma once

#include <memory>
#include <string>

#include "engine/base/compression.h"
#include "engine/base/time.h"
#include "engine/reactor/reactor.h"
#include "net/client/producer.h"
#include "tools/produce.h"

namespace millrace::tools {

class ProduceReport {
 public:
  ProduceReport(const ProduceFlags& flags, Reactor& reactor) : flags_(flags), reactor_(reactor) {}
  ~ProduceReport();
  ProduceReport(const ProduceReport&) = delete;
  ProduceReport& operator=(const ProduceReport&) = delete;

  // From here on time counts.
  void start(const ProducerStatistics& statistics);
  // The acknowledged records' lines leave at once.
  void delivered(const Delivery& delivery);
  // The summary. After a failure it counts what became of the records; before any, there is nothing to say.
  void finish(bool succeeded);

 private:
  static Task<void> show_progress(Reactor& reactor, std::shared_ptr<ProduceReport*> report);
  void print_progress();
  [[nodiscard]] Result<void> print_acked(const Delivery& delivery);

  const ProduceFlags& flags_;
  Reactor& reactor_;
  const ProducerStatistics* statistics_ = nullptr;
  std::shared_ptr<ProduceReport*> watched_;  // points to nothing once this is gone
  MonotonicTime started_{};
  bool progress_shown_ = false;
  std::string lines_;
  Inflater inflater_;
  std::vector<std::byte> inflated_;
};

}  // namespace millrace::tools

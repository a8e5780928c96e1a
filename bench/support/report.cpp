#include "bench/support/report.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sys/utsname.h>
#include <thread>

#include "tools/table.h"

namespace millrace::bench {
namespace {

std::string kernel() {
  utsname names{};
  return ::uname(&names) == 0 ? names.release : "unknown";
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

Report::Report(std::string program, std::string folder)
    : program_(std::move(program)), folder_(std::move(folder)) {
  if (::getloadavg(&load_, 1) != 1) load_ = 0;
}

void Report::begin_round() {
  rounds_.emplace_back();
  steal_.start();
}

void Report::end_round() {
  rounds_.back().steal = steal_.percent();
}

void Report::add(const std::string& figure, const std::string& unit, double value) {
  const auto known = std::ranges::find(figures_, figure, &Figure::name);
  if (known == figures_.end()) figures_.push_back({figure, unit});
  rounds_.back().values[figure] = value;
}

bool Report::counts(const Measured& round) const {
  const bool any_quiet =
      std::ranges::any_of(rounds_, [](const Measured& other) { return other.steal <= k_steal_max; });
  return round.steal <= k_steal_max || !any_quiet;
}

std::vector<double> Report::counted(const std::function<double(const Round&)>& of) const {
  std::vector<double> values;
  for (const Measured& round : rounds_) {
    if (counts(round)) values.push_back(of(round.values));
  }
  return values;
}

double Report::median_of(const std::function<double(const Round&)>& of) const {
  return median(counted(of));
}

double Report::median_of(const std::string& figure) const {
  return median_of([&](const Round& round) { return round.at(figure); });
}

bool Report::Target::met() const {
  return bound == Bound::at_most ? value <= limit : value >= limit;
}

void Report::target(const std::string& what, const std::string& unit, double value, Bound bound,
                    double limit) {
  targets_.push_back({what, unit, value, bound, limit});
}

void Report::remark(const std::string& text) {
  remarks_.push_back(text);
}

tools::Json Report::rows() const {
  tools::Json rows = tools::Json::array();
  for (const Figure& figure : figures_) {
    const std::vector<double> values = counted([&](const Round& round) { return round.at(figure.name); });
    const auto [lowest, highest] = std::ranges::minmax(values);
    rows.push_back({{"figure", figure.name},
                    {"unit", figure.unit},
                    {"median", median(values)},
                    {"lowest", lowest},
                    {"highest", highest}});
  }
  return rows;
}

std::string Report::steal_line() const {
  std::string line = "steal by round, %:";
  bool marked = false;
  for (const Measured& round : rounds_) {
    const bool noisy = round.steal > k_steal_max;
    fmt::format_to(std::back_inserter(line), " {:.1f}{}", round.steal, noisy ? "!" : "");
    marked |= noisy;
  }
  if (marked)
    line += counts(*std::ranges::max_element(rounds_, {}, &Measured::steal))
                ? "  (! another guest disturbed every round: measure again)"
                : "  (! disturbed by another guest, left out)";
  return line + "\n";
}

std::string Report::text() const {
  std::string out =
      fmt::format("{}: {} rounds in {}, kernel {}, {} processors, load {:.1f} before\n\n", program_,
                  rounds_.size(), folder_, kernel(), std::thread::hardware_concurrency(), load_);
  out += tools::table_of(rows());
  out += "\n" + steal_line();
  for (const std::string& remark : remarks_) out += remark + "\n";
  for (const Target& target : targets_) {
    const char* bound = target.bound == Bound::at_most ? "at most" : "at least";
    fmt::format_to(std::back_inserter(out), "{}: {:.2f} {} (target: {} {:.2f}): {}\n", target.what,
                   target.value, target.unit, bound, target.limit,
                   target.met()
                       ? std::string("met")
                       : fmt::format("MISSED by {:.1f} %", std::abs(target.value / target.limit - 1) * 100));
  }
  return out;
}

tools::Json Report::json() const {
  tools::Json rounds = tools::Json::array();
  for (const Measured& round : rounds_)
    rounds.push_back({{"steal_percent", round.steal}, {"counted", counts(round)}, {"values", round.values}});
  tools::Json targets = tools::Json::array();
  for (const Target& target : targets_)
    targets.push_back({{"what", target.what},
                       {"value", target.value},
                       {"unit", target.unit},
                       {"bound", target.bound == Bound::at_most ? "at_most" : "at_least"},
                       {"limit", target.limit},
                       {"met", target.met()}});
  return {{"program", program_},
          {"kernel", kernel()},
          {"processors", std::thread::hardware_concurrency()},
          {"load_before", load_},
          {"folder", folder_},
          {"figures", rows()},
          {"targets", std::move(targets)},
          {"remarks", remarks_},
          {"rounds", std::move(rounds)}};
}

}  // namespace millrace::bench

// A report: figures by round, their medians, targets, and how quiet the machine was.
//
//   for (...) {
//     report.begin_round();
//     report.add("fio, 4 KiB, median", "us", fio.median_us);
//     report.add("engine, 4 KiB, median", "us", ours.median_us);
//     report.end_round();
//   }
//   report.target("durable append", "x fio's median", report.median_of(...), AtMost{1.15});
//
// The processor time that a hypervisor's other guests took ("steal") stands beside each round. Medians are
// over the rounds with at most k_steal_max of it, as long as there is one, because a neighbour's work makes
// all figures worthless; the others are marked and stay in the JSON.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bench/support/steal.h"

namespace millrace::bench {

inline constexpr double k_steal_max = 3;  // percent

enum class Bound { at_most, at_least };

class Report {
 public:
  Report(std::string program, std::string folder);

  void begin_round();
  void add(const std::string& figure, const std::string& unit, double value);
  void end_round();

  using Round = std::map<std::string, double>;  // figures by name
  // The median over the rounds that count of what `of` makes of each.
  [[nodiscard]] double median_of(const std::function<double(const Round&)>& of) const;
  [[nodiscard]] double median_of(const std::string& figure) const;

  // A line "what: 1.08 unit (target: at most 1.15): met".
  void target(const std::string& what, const std::string& unit, double value, Bound bound, double limit);
  // A line without a target.
  void remark(const std::string& text);

  [[nodiscard]] std::string text() const;
  [[nodiscard]] nlohmann::ordered_json json() const;

 private:
  struct Figure {
    std::string name, unit;
  };
  struct Measured {
    Round values;
    double steal = 0;  // percent
  };
  struct Target {
    std::string what, unit;
    double value = 0;
    Bound bound{};
    double limit = 0;
    [[nodiscard]] bool met() const;
  };
  [[nodiscard]] bool counts(const Measured& round) const;
  [[nodiscard]] std::vector<double> counted(const std::function<double(const Round&)>& of) const;
  [[nodiscard]] nlohmann::ordered_json rows() const;
  [[nodiscard]] std::string steal_line() const;

  std::string program_, folder_;
  double load_ = 0;  // of the last minute, before: what this machine's other processes do disturbs, too
  std::vector<Figure> figures_;
  std::vector<Measured> rounds_;
  std::vector<Target> targets_;
  std::vector<std::string> remarks_;
  StealMeter steal_;
};

}  // namespace millrace::bench

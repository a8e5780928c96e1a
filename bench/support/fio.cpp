#include "bench/support/fio.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/support/child.h"

namespace millrace::bench {

Result<FioResult> run_fio(const FioJob& job) {
  const std::string access = job.access == FioAccess::write ? "write" : "read";
  std::vector<std::string> words{"fio",
                                 "--name=reference",
                                 "--filename=" + job.file,
                                 "--ioengine=io_uring",
                                 "--direct=1",
                                 "--iodepth=1",
                                 "--rw=" + access,
                                 "--fallocate=none",
                                 fmt::format("--bs={}", job.block_size),
                                 fmt::format("--size={}", job.file_size),
                                 "--lat_percentiles=1",
                                 "--clat_percentiles=0",
                                 "--percentile_list=50:99:99.9",
                                 "--output-format=json"};
  if (job.access == FioAccess::write) words.emplace_back("--sync=dsync");
  if (job.seconds > 0) {
    words.emplace_back("--time_based");
    words.push_back(fmt::format("--runtime={:.0f}ms", job.seconds * 1000));
  }
  if (job.pause_us > 0) words.push_back(fmt::format("--thinktime={:.0f}us", job.pause_us));
  TRY(Child fio, Child::start(words, job.cpu));
  TRY(const std::string output, fio.read_all());
  if (auto ended = fio.wait(); !ended && ended.error().code == ErrorCode::not_found)
    return fail(ErrorCode::not_found, "fio is not installed (apt-get install fio)");
  else if (!ended)
    return fail(std::move(ended).error());

  // Warnings may stand before the JSON.
  const auto json =
      nlohmann::json::parse(output.substr(std::min(output.find('{'), output.size())), nullptr, false);
  if (json.is_discarded()) return fail(ErrorCode::io_error, "fio printed no JSON: {}", output.substr(0, 200));
  const auto& side = json.at("jobs").at(0).at(access);
  const auto& latency = side.at("lat_ns");
  const auto& percentile = latency.at("percentile");
  const auto us = [](const nlohmann::json& ns) { return ns.get<double>() / 1000; };
  return FioResult{
      {us(percentile.at("50.000000")), us(percentile.at("99.000000")), us(percentile.at("99.900000"))},
      us(latency.at("mean")),
      side.at("bw_bytes").get<double>()};
}

Result<FioResult> run_fio_on_new_file(FioJob job, FileState state) {
  TRY_VOID(make_file(job.file, job.file_size, state));
  if (state == FileState::allocated) job.seconds = 0;
  return run_fio(job);
}

}  // namespace millrace::bench

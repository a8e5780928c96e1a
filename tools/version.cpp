// millrace version
#include <flatbuffers/base.h>
#include <fmt/core.h>
#include <lz4.h>
#include <memory>
#include <spdlog/version.h>
#include <sys/utsname.h>
#include <xxhash.h>
#include <zstd.h>

#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/terminal.h"

namespace millrace::tools {
namespace {

std::string dotted(unsigned major, unsigned minor, unsigned patch) {
  return fmt::format("{}.{}.{}", major, minor, patch);
}

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("gcc {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

Json json_of_build() {
  utsname system{};
  const std::string kernel =
      ::uname(&system) == 0 ? fmt::format("{} {}", system.sysname, system.release) : "unknown";
  return {{"millrace", MILLRACE_VERSION},
          {"compiler", compiler()},
          {"build", MILLRACE_BUILD_TYPE},
          {"kernel", kernel},
          {"CLI11", CLI11_VERSION},
          {"flatbuffers",
           dotted(FLATBUFFERS_VERSION_MAJOR, FLATBUFFERS_VERSION_MINOR, FLATBUFFERS_VERSION_REVISION)},
          {"fmt", dotted(FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
          {"liburing", MILLRACE_LIBURING_VERSION},
          {"lz4", LZ4_versionString()},
          {"nlohmann-json",
           dotted(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
          {"spdlog", dotted(SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH)},
          {"xxhash",
           dotted(XXH_versionNumber() / 10000, XXH_versionNumber() / 100 % 100, XXH_versionNumber() % 100)},
          {"zstd", ZSTD_versionString()}};
}

}  // namespace

void add_version(CLI::App& program, Run& run) {
  CLI::App& command =
      *program.add_subcommand("version", "Print the versions of this program and its libraries");
  const auto format = std::make_shared<OutputFormat>(OutputFormat::table);
  add_output_format(command, *format);
  command.footer("Example:\n  millrace version --format json");
  command.callback([&run, format] {
    run = [format] {
      const Json json = json_of_build();
      write_output(*format == OutputFormat::json ? json_text(json) : list_of(json));
      return static_cast<int>(k_exit_ok);
    };
  });
}

}  // namespace millrace::tools

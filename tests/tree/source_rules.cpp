#include "tests/tree/source_rules.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <fmt/format.h>
#include <optional>

namespace millrace::tree {
namespace {

// Bottom first. A new layer is a line here and an add_subdirectory in the top CMakeLists.txt.
constexpr std::array<std::string_view, 5> k_layers = {"engine/base/", "engine/reactor/", "engine/wire/",
                                                      "engine/log/", "net/"};
constexpr std::array<std::string_view, 5> k_above_all = {"tools/", "bench/", "fuzz/", "tests/", "examples/"};

constexpr std::string_view k_the_door = "engine/reactor/";
constexpr std::string_view k_thread_local_home = "engine/reactor/frame_allocator.cpp";
// CHECK must be able to print before it aborts, without a reactor.
constexpr std::string_view k_standard_error_home = "engine/base/check.cpp";

// Headers through which a program reaches files, sockets, clocks, threads or entropy; a trailing '/' means
// the folder. <chrono> and <random> stay allowed for units and seeded generators; k_system_names forbids the
// rest.
constexpr auto k_system_headers = std::to_array<std::string_view>(
    {"aio.h",        "arpa/",      "asm/",       "barrier",   "condition_variable",
     "cstdio",       "ctime",      "csignal",    "dirent.h",  "execinfo.h",
     "fcntl.h",      "filesystem", "fstream",    "future",    "ifaddrs.h",
     "iostream",     "latch",      "liburing.h", "liburing/", "linux/",
     "mutex",        "net/",       "netdb.h",    "netinet/",  "poll.h",
     "pthread.h",    "pwd.h",      "sched.h",    "semaphore", "semaphore.h",
     "shared_mutex", "signal.h",   "spawn.h",    "stdio.h",   "stop_token",
     "sys/",         "sysexits.h", "syslog.h",   "termios.h", "thread",
     "threads.h",    "time.h",     "ucontext.h", "unistd.h"});

// Names that reach a clock, entropy, the environment or another thread through a header that is allowed.
constexpr auto k_system_names = std::to_array<std::string_view>(
    {"system_clock", "steady_clock", "high_resolution_clock", "utc_clock", "random_device", "getenv",
     "getentropy", "arc4random", "this_thread", "jthread"});

// Whether plain literals survive: includes need them, a search for names must not see them. Raw ones never
// do.
enum class Literals { keep, blank };

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Where the literal that begins at `at` (a quote) ends: one past its closing quote, or the end of its line.
std::size_t end_of_literal(std::string_view text, std::size_t at) {
  const char quote = text[at];
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == quote || text[i] == '\n') {
      return i + 1;
    }
  }
  return text.size();
}

bool is_raw_literal(std::string_view text, std::size_t quote) {
  return text[quote] == '"' && quote > 0 && text[quote - 1] == 'R';
}

// The same for R"tag( ... )tag"; `at` is its quote.
std::size_t end_of_raw_literal(std::string_view text, std::size_t at) {
  const std::size_t open = text.find('(', at);
  if (open == std::string_view::npos) return text.size();
  const std::string close = fmt::format("){}\"", text.substr(at + 1, open - at - 1));
  const std::size_t end = text.find(close, open);
  return end == std::string_view::npos ? text.size() : end + close.size();
}

// The end of the comment or literal that begins at `at`, or nothing when none does.
std::optional<std::size_t> end_of_island(std::string_view text, std::size_t at) {
  const std::string_view rest = text.substr(at);
  if (rest.starts_with("//")) return std::min(text.find('\n', at), text.size());
  if (rest.starts_with("/*")) return std::min(text.find("*/", at + 2), text.size() - 2) + 2;
  const bool after_word = at > 0 && is_word(text[at - 1]);
  if (is_raw_literal(text, at)) return end_of_raw_literal(text, at);
  if (rest.front() == '"') return end_of_literal(text, at);
  if (rest.front() == '\'' && !after_word)
    return end_of_literal(text, at);  // after a digit it only groups digits
  return std::nullopt;
}

// `text` with its comments, and its literals if so wished, turned into spaces; line breaks stay.
std::string code_of(std::string_view text, Literals literals) {
  std::string out(text);
  for (std::size_t at = 0; at < text.size();) {
    const std::optional<std::size_t> end = end_of_island(text, at);
    if (!end) {
      ++at;
      continue;
    }
    if (text[at] == '/' || is_raw_literal(text, at) || literals == Literals::blank) {
      std::replace_if(
          out.begin() + static_cast<std::ptrdiff_t>(at), out.begin() + static_cast<std::ptrdiff_t>(*end),
          [](char c) { return c != '\n'; }, ' ');
    }
    at = *end;
  }
  return out;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1);
    lines.push_back(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

// What an include directive names, with its opening '"' or '<' in front; empty for any other line.
std::string_view included_by(std::string_view line) {
  line = trimmed(line);
  if (!line.starts_with('#')) return {};
  line = trimmed(line.substr(1));
  if (!line.starts_with("include")) return {};
  line = trimmed(line.substr(std::string_view("include").size()));
  if (!line.starts_with('"') && !line.starts_with('<')) return {};
  return line.substr(0, line.find_first_of("\">", 1));
}

bool matches(std::string_view header, std::string_view pattern) {
  return pattern.ends_with('/') ? header.starts_with(pattern) : header == pattern;
}

bool has_word(std::string_view line, std::string_view word) {
  for (std::size_t at = line.find(word); at != std::string_view::npos; at = line.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_word(line[at - 1])) && (end == line.size() || !is_word(line[end]))) return true;
  }
  return false;
}

// Higher is further up; nothing for a path outside every layer.
std::optional<std::size_t> rank_of(std::string_view path) {
  const auto holds = [path](std::string_view folder) { return path.starts_with(folder); };
  const auto layer = std::ranges::find_if(k_layers, holds);
  if (layer != k_layers.end()) return static_cast<std::size_t>(layer - k_layers.begin());
  return std::ranges::any_of(k_above_all, holds) ? std::optional{k_layers.size()} : std::nullopt;
}

std::optional<std::string> quoted_include_fault(std::string_view path, std::string_view header) {
  const std::optional<std::size_t> own = rank_of(path);
  const std::optional<std::size_t> other = rank_of(header);
  if (!other || header.contains(".."))
    return fmt::format("\"{}\" is not a path from the root of the tree", header);
  if (own && *other > *own) return fmt::format("\"{}\" lies in a layer above; includes point down", header);
  return std::nullopt;
}

std::optional<std::string> system_include_fault(std::string_view path, std::string_view header) {
  const bool standard_error = header == "cstdio" && path == k_standard_error_home;
  const bool forbidden =
      std::ranges::any_of(k_system_headers, [&](std::string_view p) { return matches(header, p); });
  if (!forbidden || standard_error) return std::nullopt;
  return fmt::format("<{}> belongs to engine/reactor; go through Reactor", header);
}

bool behind_the_door(std::string_view path) {
  return (path.starts_with("engine/") || path.starts_with("net/")) && !path.starts_with(k_the_door);
}

}  // namespace

std::vector<std::string> violations(std::string_view path, std::string_view text) {
  std::vector<std::string> found;
  const auto report = [&](std::size_t line, std::string_view what) {
    found.push_back(fmt::format("{}:{}: {}", path, line + 1, what));
  };
  const std::string with_literals = code_of(text, Literals::keep);
  const std::string names_only = code_of(text, Literals::blank);
  const std::vector<std::string_view> directives = lines_of(with_literals);
  const std::vector<std::string_view> code = lines_of(names_only);

  for (std::size_t line = 0; line < directives.size(); ++line) {
    const std::string_view include = included_by(directives[line]);
    std::optional<std::string> fault;
    if (include.starts_with('"')) fault = quoted_include_fault(path, include.substr(1));
    if (include.starts_with('<') && behind_the_door(path))
      fault = system_include_fault(path, include.substr(1));
    if (fault) report(line, *fault);

    if (path != k_thread_local_home && has_word(code[line], "thread_local")) {
      report(line,
             "thread_local: simulated shards share one thread; keep the value in the shard's own state");
    }
    if (!behind_the_door(path)) continue;
    for (const std::string_view name : k_system_names) {
      if (has_word(code[line], name))
        report(line, fmt::format("{} belongs to engine/reactor; go through Reactor", name));
    }
  }
  return found;
}

}  // namespace millrace::tree

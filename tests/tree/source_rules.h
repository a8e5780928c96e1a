// The rules about includes that keep the layers apart, as a function from a file's text to what breaks them.
//
// A file's layer is its folder. Bottom first: engine/base, engine/reactor, engine/wire, engine/log, net;
// above them all tools, bench, fuzz, tests and examples, which may use anything, each other included.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace::tree {

// What breaks a rule in the file that lies at `path` (relative to the root of the tree, with '/') and holds
// `text`; one sentence each, with the line. Empty when all is well. The rules:
// - a quoted include names a file from the root of the tree, of the file's own layer or of one below it
// - in engine/ and net/, only engine/reactor names the system's headers and clocks for I/O, time, threads and
// entropy
// - thread_local stands in engine/reactor/frame_allocator.cpp alone: simulated shards share one thread
// Comments and string literals do not count.
std::vector<std::string> violations(std::string_view path, std::string_view text);

}  // namespace millrace::tree

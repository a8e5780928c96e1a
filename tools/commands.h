// The commands of `millrace`. Each adds itself to the program; when the command line names it, its callback
// sets `run`.
#pragma once

#include "tools/options.h"

namespace millrace::tools {

void add_serve(CLI::App& program, Run& run);
void add_status(CLI::App& program, Run& run);
void add_topic(CLI::App& program, Run& run);
void add_produce(CLI::App& program, Run& run);
void add_consume(CLI::App& program, Run& run);
void add_log(CLI::App& program, Run& run);
void add_doctor(CLI::App& program, Run& run);
void add_version(CLI::App& program, Run& run);

}  // namespace millrace::tools

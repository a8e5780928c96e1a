// What a start has to make of a damaged folder, by the table of docs/recovery.md and what was damaged alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fuzz/damage.h"
#include "fuzz/valid_folder.h"

namespace millrace::fuzz {

// Of one journal of the folder.
struct JournalVerdict {
  // The last commit that counts: one of these. They differ where an extent has damage that may lie in its
  // padding.
  Sequence least{0}, most{0};
};

struct Verdict {
  // What is lost that was acknowledged, so that the start must be refused.
  std::optional<std::string> loss;
  // Nothing is damaged but a torn tail and what a start does not read, so that it must not be refused.
  bool must_open = false;
  std::vector<JournalVerdict> journals;
};

Verdict decide(const ValidFolder& folder, const DamagedFolder& damaged);

// Whether the group may stand like this after a start.
bool may_be(const GroupHistory& history, const JournalVerdict& journal,
            const std::optional<GroupState>& state);

}  // namespace millrace::fuzz

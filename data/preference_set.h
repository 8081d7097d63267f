// Toy preferences from worked solutions, for `ponder sft`, `ponder rm` and `ponder dpo`: the chosen
// response is the solution, the rejected one goes wrong in a step (a number of the thought, and
// what follows from it where that is the answer) or, where there is no number, is another prompt's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "data/dialogue_file.h"
#include "data/tasks.h"

namespace ponder::data {

// One a training prompt, in their order; a pure function of the arguments. Prompts for which no
// wrong response is found are left out.
std::vector<Preference> MakePreferences(const TaskSet& set, uint64_t seed);

// Writes dialogues.jsonl (the training prompts with their solutions, as messages) and
// preferences.jsonl into `folder`, which is made if need be.
absl::Status WritePreferenceFiles(const TaskSet& set, const std::string& folder, uint64_t seed);

}  // namespace ponder::data

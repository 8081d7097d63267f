// Prompt sets of puzzles: a training set and a held-out one that share no puzzle.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/tasks.h"

namespace ponder::data::puzzle {

// Distinct puzzles of one family and level as prompts of kind "puzzle": the gold is the instance,
// the source "puzzle.<family>", the difficulty the level. Traces have the generator's own solution
// and no thought. A pure function of the arguments; whether a puzzle is held out depends on the
// puzzle alone, whatever the seed. InvalidArgument: no such family or level, negative sizes.
// OutOfRange: the family hardly has so many puzzles at this level.
absl::StatusOr<TaskSet> MakePuzzleSet(absl::string_view family, int level, int64_t train,
                                      int64_t eval, uint64_t seed);

}  // namespace ponder::data::puzzle

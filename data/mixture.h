// Mixtures of generated tasks, as text:
//
//   sum3:6000, puzzle.boolean@1-3:3000, code@2-3:2000, judge.sum3:1000
//
// Each part is a task, perhaps a level or a range of levels (1 if none is given), and perhaps how
// many training prompts, of all its levels together. Tasks are those of data/tasks.h (which have no
// levels to choose), puzzle.<family>, code and judge.<task>.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/tasks.h"

namespace ponder::data {

// `train` is what a part without a number gets; `eval` prompts are held out of all parts together,
// evenly. A pure function of the arguments. InvalidArgument: not a mixture, or a part that names no
// task or level; OutOfRange: a part asks for more than there is.
absl::StatusOr<TaskSet> MakeMixture(absl::string_view mixture, int64_t train, int64_t eval,
                                    uint64_t seed);

}  // namespace ponder::data

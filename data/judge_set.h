// The generated task "judge.<task>": the model is the verifier. It sees a question, its reference
// answer and somebody's answer, thinks, and says whether that is right: YES or NO. Judging as a
// task with checkable answers (kind "choice"), so that a verifier that thinks can be trained by
// reinforcement learning like any other model (Seed1.5-Thinking, 2504.13914, section 4).
//
//   12+34+56=? reference 102, answer 103: right?   1=1;0=0;2!=3   NO
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/tasks.h"

namespace ponder::data {

// Distinct triples about the problems of an arithmetic `task` of data/tasks.h, half of them right.
// Level 1 has plain numbers; level 2 wraps some (102.0, =102, +102). Source "judge.<task>". What is
// held out is about a problem that is held out. Errors as of MakeTaskSet, and InvalidArgument:
// another level.
absl::StatusOr<TaskSet> MakeJudgeSet(absl::string_view task, int level, int64_t train, int64_t eval,
                                     uint64_t seed);

}  // namespace ponder::data

// The generated tasks: training prompts with worked solutions, and held-out prompts that are none
// of them.
//
// Whether a problem is for training or held out is fixed by a hash of its canonical form
// (data/arithmetic.h), whatever the seed: no held-out problem of any run, nor one with its operands
// swapped, is in the training set of any other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"

namespace ponder::data {

// A prompt with a thought and an answer to imitate; EncodeTrace makes tokens of them. A value.
struct Trace {
  Prompt prompt;
  std::string thought;
  std::string answer;
};

// A value.
struct TaskSet {
  std::vector<Trace> train;
  std::vector<Prompt> eval;
};

// `train` and `eval` distinct prompts, a pure function of the arguments. `task` is "sum3",
// "product", "chain" or "modular". InvalidArgument: no such task, negative sizes. OutOfRange: it
// has fewer problems than asked for; the message says how many.
absl::StatusOr<TaskSet> MakeTaskSet(const std::string& task, int64_t train, int64_t eval,
                                    uint64_t seed);

// Whether a task's problem, in its canonical form, is held out: one in eight is.
bool IsHeldOut(const std::string& task, const std::string& canonical);

// Writes train.jsonl and eval.jsonl (our prompt layout, data/prompt_line.h) and sft.jsonl (the
// training prompts, each with "thought" and "answer") into `folder`, which is made if need be.
// Refuses sets that share a question.
absl::Status WriteTaskSet(const TaskSet& set, const std::string& folder);

}  // namespace ponder::data

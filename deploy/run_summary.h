// What a run came to, read back from its log (promise 9): RUN/summary.json and the last words on
// the terminal.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "deploy/run_folder.h"

namespace ponder::deploy {

// Accuracies are avg@k in [0, 1]; absent when that evaluation was not made.
struct RunSummary {
  std::optional<double> accuracy_before, accuracy_sft, accuracy_rl;
  std::optional<double> greedy_before, greedy_sft, greedy_rl;
  double seconds_sft = 0;  // wall clock of the stage, over all lives of the run
  double seconds_rl = 0;
  int64_t steps = 0;    // RL steps that stand (a resume rolls back what came after its checkpoint)
  int64_t samples = 0;  // generated for those steps
  std::optional<double> logprob_gap_max;  // over those steps
  std::set<std::string> evaluated;        // names of the evaluations made
};

// From metrics.jsonl. A line that is no JSON object is DataLoss with its number.
absl::StatusOr<RunSummary> Summarize(const RunFolder& run);
// summary.json: the fields above plus `model_dir`; absent figures are null.
absl::Status WriteSummary(const RunFolder& run, const RunSummary& summary,
                          const std::string& model_dir);

}  // namespace ponder::deploy

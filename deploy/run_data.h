// The prompts of a run, put in its folder once: from then on every process, and every resume, reads the same files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/prompt_set.h"
#include "deploy/run_folder.h"
#include "proto/config.pb.h"

namespace ponder::deploy {

// Writes RUN/data: train.jsonl from data.prompts or the generated task, eval.jsonl from data.eval_prompts or the generated
// task (none if only data.prompts is given), and sft.jsonl from the generated task. Returns what was too long for
// data.max_prompt_tokens and so was left out.
// Tokens are counted as `text`, the model's, counts them.
absl::StatusOr<std::vector<data::PromptSet::Dropped>> PrepareData(const v1::Config& config,
                                                                  std::shared_ptr<const data::ModelText> text,
                                                                  const RunFolder& run);

}  // namespace ponder::deploy

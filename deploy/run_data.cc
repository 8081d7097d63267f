#include "deploy/run_data.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "base/status.h"
#include "data/mixture.h"
#include "data/tasks.h"

namespace ponder::deploy {

absl::StatusOr<std::vector<data::PromptSet::Dropped>> PrepareData(const v1::Config& config,
                                                                  std::shared_ptr<const data::ModelText> text,
                                                                  const RunFolder& run) {
  const v1::TaskConfig& task = config.data().task();
  PONDER_ASSIGN_OR_RETURN(const data::TaskSet generated,
                          data::MakeMixture(task.mixture().empty() ? task.name() : task.mixture(),
                                            task.train_size(), task.eval_size(), config.seed()));
  PONDER_RETURN_IF_ERROR(data::WriteTaskSet(generated, run.root + "/data"));

  data::PromptSetOptions limits;
  limits.max_prompt_tokens = config.data().max_prompt_tokens();
  limits.system_prompt = config.data().system_prompt();
  limits.text = std::move(text);
  std::vector<data::PromptSet::Dropped> dropped;
  const auto replace = [&](const std::string& from, const std::string& to) -> absl::Status {
    PONDER_ASSIGN_OR_RETURN(data::PromptSet set, data::LoadPrompts(from, limits));
    dropped.insert(dropped.end(), set.dropped.begin(), set.dropped.end());
    return data::WritePrompts(to, set.prompts);
  };
  if (!config.data().prompts().empty()) {
    PONDER_RETURN_IF_ERROR(replace(config.data().prompts(), run.train_prompts()));
    std::error_code ignored;  // it was written a moment ago
    std::filesystem::remove(run.eval_prompts(), ignored);
  }
  if (!config.data().eval_prompts().empty()) {
    PONDER_RETURN_IF_ERROR(replace(config.data().eval_prompts(), run.eval_prompts()));
  }
  return dropped;
}

}  // namespace ponder::deploy

// The preference stages of ponder-learner: DPO, and the Bradley-Terry reward model.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/status.h"
#include "data/dialogue_file.h"
#include "deploy/learner_rank.h"
#include "deploy/learner_stages.h"
#include "deploy/model_folder.h"
#include "deploy/run_folder.h"
#include "deploy/stop_signal.h"
#include "learner/preference_loop.h"
#include "moe/checkpoint.h"

namespace ponder::deploy {
namespace {

// A reward model is taught what it will judge (docs/verifier.md): what follows the thought.
absl::StatusOr<std::vector<int32_t>> EncodeResponse(const data::ModelText& text, bool with_thought,
                                                    const std::string& response) {
  const data::ThoughtAndAnswer parts = data::SplitThought(response);
  return text.EncodeTrace(with_thought ? parts.thought : "", parts.answer);
}

// Pairs that do not fit the model are left out, with a count, and so are those that differ in
// nothing that counts.
absl::StatusOr<std::vector<learner::PreferencePair>> LoadPairs(const std::string& path,
                                                               const std::string& system_prompt,
                                                               const data::ModelText& text,
                                                               bool with_thoughts,
                                                               int64_t max_tokens) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<data::Preference> preferences,
                          data::LoadPreferences(path));
  std::vector<learner::PreferencePair> pairs;
  int64_t too_long = 0, alike = 0;
  for (const data::Preference& preference : preferences) {
    learner::PreferencePair pair;
    PONDER_ASSIGN_OR_RETURN(pair.prompt, text.EncodeChat(preference.messages, system_prompt));
    PONDER_ASSIGN_OR_RETURN(pair.chosen, EncodeResponse(text, with_thoughts, preference.chosen));
    PONDER_ASSIGN_OR_RETURN(pair.rejected,
                            EncodeResponse(text, with_thoughts, preference.rejected));
    pair.margin = preference.margin;
    const size_t longest = std::max(pair.chosen.size(), pair.rejected.size());
    if (static_cast<int64_t>(pair.prompt.size() + longest) > max_tokens) {
      ++too_long;
    } else if (pair.chosen == pair.rejected) {
      ++alike;
    } else {
      pairs.push_back(std::move(pair));
    }
  }
  if (pairs.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": no pair is left: ", too_long, " have more than the ", max_tokens,
                     " tokens that the model takes, of ", alike, " both responses are alike",
                     with_thoughts ? "" : " but for their thoughts"));
  }
  if (too_long > 0) {
    PONDER_LOG(kWarning, path, ": left out ", too_long, " of ", preferences.size(),
               " pairs, longer than the model's ", max_tokens, " tokens");
  }
  if (alike > 0) {
    PONDER_LOG(kWarning, path, ": left out ", alike, " of ", preferences.size(),
               " pairs whose responses are alike", with_thoughts ? "" : " but for their thoughts");
  }
  return pairs;
}

}  // namespace

absl::Status RunPreference(const StageArguments& arguments, bool dpo) {
  const RunFolder run{arguments.run};
  const v1::Config& config = arguments.config;
  const std::string checkpoints = run.checkpoints(dpo ? "dpo" : "rm");
  PONDER_ASSIGN_OR_RETURN(auto rank, OpenLearnerRank(config, arguments.model, checkpoints,
                                                     arguments.resume, /*scalar_head=*/!dpo));
  const data::ModelTextOptions text_options = TextOptions(config.data());
  PONDER_ASSIGN_OR_RETURN(const auto text,
                          OpenText(arguments.model, rank->decoder->config(), text_options));
  std::unique_ptr<moe::Decoder> reference;
  if (dpo) {
    PONDER_ASSIGN_OR_RETURN(const moe::Model model, moe::LoadModel(arguments.model));
    PONDER_ASSIGN_OR_RETURN(reference, MakeDecoder(config, rank->mesh, model, /*frozen=*/true));
  }
  PONDER_ASSIGN_OR_RETURN(const std::vector<learner::PreferencePair> pairs,
                          LoadPairs(arguments.data, config.data().system_prompt(), *text,
                                    /*with_thoughts=*/dpo,
                                    rank->decoder->config().max_position_embeddings));
  std::unique_ptr<MetricsLog> metrics;
  if (rank->leads()) {
    PONDER_ASSIGN_OR_RETURN(metrics, MetricsLog::Open(run.metrics()));
  }
  learner::PreferenceLoop::Options options;
  options.seed = config.seed();
  options.steps = config.sft().steps();
  options.batch_size = config.sft().batch_size();
  options.lr = config.sft().lr();
  options.min_lr = config.sft().min_lr();
  options.warmup_steps = config.sft().warmup_steps();
  options.beta = arguments.beta;
  options.max_tokens_per_microbatch = config.learner().max_tokens_per_microbatch();
  options.checkpoints = checkpoints;
  PONDER_ASSIGN_OR_RETURN(options.carried,
                          CarriedFrom(arguments.model, rank->decoder->config(), text_options));
  learner::PreferenceLoop loop(options, rank->start, pairs, *rank->decoder,
                               rank->updater->gradient_step(), reference.get(), rank->mesh,
                               metrics.get());
  {
    StopSignal stop([&loop, leads = rank->leads()] {
      if (leads) loop.Stop();
    });
    PONDER_RETURN_IF_ERROR(loop.Run());
  }
  return SaveTrained(*rank, arguments.out, run.adapter(), options.carried);
}

}  // namespace ponder::deploy

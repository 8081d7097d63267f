// The supervised stage of ponder-learner.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "base/status.h"
#include "data/dialogue_file.h"
#include "data/trace_file.h"
#include "deploy/learner_rank.h"
#include "deploy/learner_stages.h"
#include "deploy/model_folder.h"
#include "deploy/run_folder.h"
#include "deploy/stop_signal.h"
#include "learner/sft_loop.h"
#include "moe/checkpoint.h"

namespace ponder::deploy {
namespace {

absl::StatusOr<std::vector<learner::Example>> LoadExamples(const std::string& path,
                                                           const std::string& system_prompt,
                                                           const data::ModelText& text,
                                                           int64_t max_tokens) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<data::Trace> traces, data::LoadTraces(path));
  std::vector<learner::Example> examples;
  for (const data::Trace& trace : traces) {
    learner::Example example;
    PONDER_ASSIGN_OR_RETURN(example.prompt, text.EncodeChat(trace.prompt.messages, system_prompt));
    PONDER_ASSIGN_OR_RETURN(example.response, text.EncodeTrace(trace.thought, trace.answer));
    const int64_t tokens = static_cast<int64_t>(example.prompt.size() + example.response.size());
    if (tokens > max_tokens) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": trace ", trace.prompt.id, " has ", tokens, " tokens, the model takes ",
          max_tokens, "; raise model.max_position_embeddings"));
    }
    examples.push_back(std::move(example));
  }
  return examples;
}

// What is longer than the model takes is cut off at its end; a dialogue whose prompt alone is too
// long is left out; both are counted.
absl::StatusOr<std::vector<learner::Example>> LoadDialogueExamples(const std::string& path,
                                                                   const std::string& system_prompt,
                                                                   const data::ModelText& text,
                                                                   size_t max_tokens) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<data::Dialogue> dialogues, data::LoadDialogues(path));
  std::vector<learner::Example> examples;
  int64_t truncated = 0;
  for (const data::Dialogue& dialogue : dialogues) {
    learner::Example example;
    PONDER_ASSIGN_OR_RETURN(example.prompt, text.EncodeChat(dialogue.messages, system_prompt));
    const data::ThoughtAndAnswer parts = data::SplitThought(dialogue.response);
    PONDER_ASSIGN_OR_RETURN(example.response, text.EncodeTrace(parts.thought, parts.answer));
    if (example.prompt.size() >= max_tokens) continue;
    const size_t room = max_tokens - example.prompt.size();
    truncated += example.response.size() > room;
    example.response.resize(std::min(example.response.size(), room));
    examples.push_back(std::move(example));
  }
  const size_t left_out = dialogues.size() - examples.size();
  if (examples.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": every prompt has at least the ", max_tokens,
                     " tokens that the model takes; nothing is left to train on"));
  }
  if (left_out > 0 || truncated > 0) {
    PONDER_LOG(kWarning, path, ": of ", dialogues.size(), " dialogues ", truncated,
               " were cut off at the model's ", max_tokens, " tokens and ", left_out,
               " left out, their prompts being longer");
  }
  return examples;
}

}  // namespace

absl::Status RunSft(const StageArguments& arguments) {
  const RunFolder run{arguments.run};
  const v1::Config& config = arguments.config;
  const std::string checkpoints = run.checkpoints("sft");
  PONDER_ASSIGN_OR_RETURN(auto rank,
                          OpenLearnerRank(config, arguments.model, checkpoints, arguments.resume));
  const data::ModelTextOptions text_options = TextOptions(config.data());
  PONDER_ASSIGN_OR_RETURN(const auto text,
                          OpenText(arguments.model, rank->decoder->config(), text_options));
  const int64_t longest = rank->decoder->config().max_position_embeddings;
  PONDER_ASSIGN_OR_RETURN(
      const std::vector<learner::Example> examples,
      arguments.data.empty()
          ? LoadExamples(run.traces(), config.data().system_prompt(), *text, longest)
          : LoadDialogueExamples(arguments.data, config.data().system_prompt(), *text,
                                 static_cast<size_t>(longest)));
  std::unique_ptr<MetricsLog> metrics;
  if (rank->leads()) {
    PONDER_ASSIGN_OR_RETURN(metrics, MetricsLog::Open(run.metrics()));
  }
  learner::SftLoop::Options options;
  options.seed = config.seed();
  options.steps = config.sft().steps();
  options.batch_size = config.sft().batch_size();
  options.lr = config.sft().lr();
  options.min_lr = config.sft().min_lr();
  options.warmup_steps = config.sft().warmup_steps();
  options.target_loss = config.sft().target_loss();
  options.checkpoints = checkpoints;
  PONDER_ASSIGN_OR_RETURN(options.carried,
                          CarriedFrom(arguments.model, rank->decoder->config(), text_options));
  learner::SftLoop loop(options, rank->start, examples, *rank->decoder, *rank->updater, rank->mesh,
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

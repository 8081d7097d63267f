// The supervised stage of ponder-learner.
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "data/chat_format.h"
#include "data/trace_file.h"
#include "deploy/learner_rank.h"
#include "deploy/learner_stages.h"
#include "deploy/run_folder.h"
#include "deploy/stop_signal.h"
#include "learner/sft_loop.h"
#include "moe/checkpoint.h"

namespace ponder::deploy {
namespace {

absl::StatusOr<std::vector<learner::Example>> LoadExamples(const std::string& path,
                                                           const std::string& system_prompt,
                                                           int64_t max_tokens) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<data::Trace> traces, data::LoadTraces(path));
  std::vector<learner::Example> examples;
  for (const data::Trace& trace : traces) {
    learner::Example example;
    PONDER_ASSIGN_OR_RETURN(example.prompt, data::EncodeChat(trace.prompt.messages, system_prompt));
    example.response = data::EncodeTrace(trace.thought, trace.answer);
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

}  // namespace

absl::Status RunSft(const StageArguments& arguments) {
  const RunFolder run{arguments.run};
  const v1::Config& config = arguments.config;
  const std::string checkpoints = run.checkpoints("sft");
  PONDER_ASSIGN_OR_RETURN(auto rank,
                          OpenLearnerRank(config, arguments.model, checkpoints, arguments.resume));
  PONDER_ASSIGN_OR_RETURN(const std::vector<learner::Example> examples,
                          LoadExamples(run.traces(), config.data().system_prompt(),
                                       rank->decoder->config().max_position_embeddings));
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
  learner::SftLoop loop(options, rank->start, examples, *rank->decoder, *rank->updater, rank->mesh,
                        metrics.get());
  {
    StopSignal stop([&loop, leads = rank->leads()] {
      if (leads) loop.Stop();
    });
    PONDER_RETURN_IF_ERROR(loop.Run());
  }
  PONDER_ASSIGN_OR_RETURN(auto weights, rank->decoder->Export(0));
  if (!rank->leads()) return absl::OkStatus();
  return moe::SaveModel(arguments.out, {rank->decoder->config(), std::move(weights)});
}

}  // namespace ponder::deploy

// `ponder actor`: one process that generates samples for a learner, until the run is finished.
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "actor/links.h"
#include "actor/rollout_loop.h"
#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/status.h"
#include "deploy/commands.h"
#include "deploy/model_folder.h"
#include "deploy/stop_signal.h"
#include "nlohmann/json.hpp"
#include "proto/config.h"

namespace ponder::deploy {
namespace {

struct ActorOptions {
  std::string learner, verifier, name, config;
  std::vector<std::string> overrides;
  double patience_seconds = 60;
  std::string metrics;  // path; empty: none
};

actor::RolloutLoop::Options LoopOptions(const v1::Config& config) {
  actor::RolloutLoop::Options options;
  options.seed = config.seed();
  options.engine.threads = static_cast<int>(config.actor().threads());
  options.engine.max_batch = config.actor().max_batch();
  options.engine.kv_cache_mib = config.actor().kv_cache_mib();
  options.engine.kv_on_swap = config.actor().kv_on_swap() == "keep"
                                  ? actor::Engine::KvOnSwap::kKeep
                                  : actor::Engine::KvOnSwap::kRecompute;
  PONDER_CHECK(kernels::ParseWeightType(config.actor().weight_dtype(), &options.engine.weight_type),
               config.actor().weight_dtype());
  options.engine.record_routing = config.rl().routing_replay() == "rollout";
  options.sampling.temperature = static_cast<float>(config.rl().temperature());
  options.sampling.top_p = static_cast<float>(config.rl().top_p());
  options.max_response_tokens = config.rl().max_response_tokens();
  options.system_prompt = config.data().system_prompt();
  options.max_sequence_tokens =
      config.data().max_prompt_tokens() + config.rl().max_response_tokens();
  return options;
}

absl::Status RunActor(const ActorOptions& options) {
  BlockStopSignals();
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);  // what matters comes as a Status
  SetLogName(options.name);
  PONDER_ASSIGN_OR_RETURN(const v1::Config config, LoadConfig(options.config, options.overrides));
  actor::GrpcLearnerOptions learner;
  learner.address = options.learner;
  learner.actor = options.name;
  learner.incarnation = absl::ToUnixMillis(absl::Now());
  learner.patience = absl::Seconds(options.patience_seconds);
  actor::GrpcVerifierOptions verifier;
  verifier.address = options.verifier;
  verifier.deadline = absl::Seconds(config.verifier().deadline_seconds());
  const auto learner_link = actor::MakeGrpcLearnerLink(learner);
  const auto verifier_link = actor::MakeGrpcVerifierLink(verifier);
  PONDER_LOG(kInfo, "asking the learner at ", options.learner, " for work; the verifier is at ",
             options.verifier);
  actor::RolloutLoop::Options loop_options = LoopOptions(config);
  if (!config.base_model().empty()) {
    PONDER_ASSIGN_OR_RETURN(loop_options.text,
                            data::LoadModelText(config.base_model(), TextOptions(config.data())));
  }
  std::unique_ptr<MetricsLog> metrics;
  if (!options.metrics.empty()) {
    PONDER_ASSIGN_OR_RETURN(metrics, MetricsLog::Open(options.metrics));
    loop_options.on_first_token = [&] {
      const absl::Status written = metrics->Write(
          {{"event", "startup"}, {"what", "first_rollout_token"}, {"name", options.name}});
      if (!written.ok()) PONDER_LOG(kWarning, written.message());
    };
  }
  actor::RolloutLoop loop(loop_options, *learner_link, *verifier_link);
  const StopSignal stop([&loop] { loop.Stop(); });
  return loop.Run();
}

}  // namespace

void AddActorCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<ActorOptions>();
  CLI::App* command = app.add_subcommand("actor", "Generate samples for a learner");
  command->add_option("--learner", options->learner, "host:port of the learner")->required();
  command->add_option("--verifier", options->verifier, "host:port of a verifier")->required();
  command->add_option("--name", options->name, "unique in the run, e.g. actor.0")->required();
  command->add_option("--config", options->config, "the run's config.yaml")->required();
  command->add_option("--set", options->overrides, "key=value; may be repeated")
      ->allow_extra_args(false);
  command
      ->add_option("--patience", options->patience_seconds,
                   "seconds to wait for a learner that is away")
      ->capture_default_str();
  command->add_option("--metrics", options->metrics, "the run's metrics.jsonl");
  command->callback(
      [options, exit_code] { *exit_code = ReportStatus("actor", RunActor(*options)); });
}

}  // namespace ponder::deploy

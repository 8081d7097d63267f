// The reinforcement-learning stage of ponder-learner: the sample pool and the weights served by
// rank 0, the updates by all.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/status.h"
#include "data/prompt_set.h"
#include "deploy/learner_rank.h"
#include "deploy/learner_stages.h"
#include "deploy/model_folder.h"
#include "deploy/recipe.h"
#include "deploy/run_folder.h"
#include "deploy/stop_signal.h"
#include "learner/learner_service.h"
#include "learner/ledger.h"
#include "learner/sample_pool.h"
#include "learner/train_loop.h"
#include "learner/value_model.h"
#include "learner/weight_store.h"
#include "moe/checkpoint.h"
#include "moe/routing_record.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {
namespace {

learner::TrainLoop::Options LoopOptions(const v1::Config& config, const std::string& checkpoints) {
  learner::TrainLoop::Options options;
  options.seed = config.seed();
  options.steps = config.rl().steps();
  options.minibatches = config.rl().minibatches();
  options.lr = config.learner().optimizer().lr();
  options.min_lr = config.learner().optimizer().lr() * config.learner().optimizer().min_lr_ratio();
  options.warmup_steps = config.learner().optimizer().warmup_steps();
  options.reward.max_response_tokens = config.rl().max_response_tokens();
  options.reward.overlong_cache = config.rl().overlong_cache();
  options.reward.wrong = config.rl().wrong_reward();
  options.reward.preference_coef = config.rl().reward().preference_coef();
  options.normalisation = NormalisationOf(config.rl().reward());
  options.overlong_filtering = config.rl().overlong_filtering();
  options.proximal = config.rl().proximal() == "recomputed";
  options.replay_routing = config.rl().routing_replay() == "rollout";
  options.advantage = AdvantageOf(config.rl());
  options.value_pretrain_steps = config.rl().value().pretrain_steps();
  options.value_lr = config.rl().value().lr();
  options.checkpoint_every = config.learner().checkpoint_every();
  options.keep_checkpoints = config.learner().keep_checkpoints();
  options.checkpoints = checkpoints;
  return options;
}

// A model that was not made from the config's shape may have another length than it thinks.
absl::Status CheckLengths(const v1::Config& config, const moe::ModelConfig& model) {
  const int64_t longest = config.data().max_prompt_tokens() + config.rl().max_response_tokens();
  if (longest <= model.max_position_embeddings) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("data.max_prompt_tokens (", config.data().max_prompt_tokens(),
                   ") and rl.max_response_tokens (", config.rl().max_response_tokens(),
                   ") are together more than the ", model.max_position_embeddings,
                   " tokens that the model takes"));
}

absl::StatusOr<std::unique_ptr<learner::SamplePool>> OpenPool(
    const v1::Config& config, const RunFolder& run, std::shared_ptr<const data::ModelText> text,
    const moe::ModelConfig& model, const learner::TrainState& start) {
  data::PromptSetOptions limits;
  limits.max_prompt_tokens = config.data().max_prompt_tokens();
  limits.system_prompt = config.data().system_prompt();
  limits.text = std::move(text);
  PONDER_ASSIGN_OR_RETURN(data::PromptSet set, data::LoadPrompts(run.train_prompts(), limits));
  PONDER_ASSIGN_OR_RETURN(auto ledger, learner::Ledger::Open(run.pool()));
  learner::SamplePool::Options options;
  options.seed = config.seed();
  options.group_size = config.rl().group_size();
  options.groups_per_step = config.rl().groups_per_step();
  options.max_staleness = config.pool().max_staleness();
  options.lease = absl::Seconds(config.pool().lease_seconds());
  options.max_attempts = config.pool().max_attempts();
  options.dynamic_sampling = config.rl().dynamic_sampling();
  options.max_degenerate_groups = config.rl().max_degenerate_groups();
  if (config.rl().routing_replay() == "rollout") options.routing = moe::RoutingShape::Of(model);
  const v1::AdaptConfig& adapt = config.data().adapt();
  options.curriculum = {adapt.on(), adapt.floor(), adapt.rate(), adapt.open_above()};
  return learner::SamplePool::Make(
      options, std::move(set.prompts), std::move(ledger),
      {start.step, start.next_group_id, start.version, start.curriculum});
}

// The models besides the policy that the recipe asks for.
struct Companions {
  std::unique_ptr<moe::Decoder> reference;
  std::unique_ptr<moe::Decoder> value_decoder;
  std::unique_ptr<learner::ValueModel> value;
  std::unique_ptr<learner::SharedValue> shared_value;
};

absl::Status OpenSharedValue(const v1::Config& config, LearnerRank& rank, Companions* companions) {
  learner::SharedValue::Options options;
  options.step = GradientStepOptions(config.learner().optimizer());
  options.max_tokens_per_microbatch = config.learner().max_tokens_per_microbatch();
  options.clip = config.rl().value().clip();
  options.coef = config.rl().value().coef();
  options.replay = config.rl().routing_replay() == "rollout";
  companions->shared_value =
      std::make_unique<learner::SharedValue>(options, *rank.decoder, rank.mesh);
  rank.updater->UseSharedValue(companions->shared_value.get());
  if (!rank.checkpoint.has_value()) return absl::OkStatus();
  companions->shared_value->optimizer().set_step(rank.start.value_step);
  return learner::LoadSharedValue(*rank.checkpoint, companions->shared_value.get());
}

absl::StatusOr<Companions> OpenCompanions(const StageArguments& arguments, LearnerRank& rank) {
  const v1::Config& config = arguments.config;
  const v1::RlConfig& rl = config.rl();
  Companions companions;
  if (rl.kl_coef() > 0) {
    PONDER_ASSIGN_OR_RETURN(const moe::Model model, moe::LoadModel(arguments.model));
    PONDER_ASSIGN_OR_RETURN(companions.reference,
                            MakeDecoder(config, rank.mesh, model, /*frozen=*/true));
  }
  if (!learner::NeedsValues(rl.advantage())) return companions;
  if (rl.value().shared_trunk()) {
    PONDER_RETURN_IF_ERROR(OpenSharedValue(config, rank, &companions));
    return companions;
  }
  PONDER_ASSIGN_OR_RETURN(
      moe::Model model,
      moe::LoadModel(rl.value().model().empty() ? arguments.model : rl.value().model()));
  if (!model.config.scalar_head) {
    PONDER_ASSIGN_OR_RETURN(model, learner::WithScalarHead(model));
  }
  if (model.config.vocab_size != rank.decoder->config().vocab_size) {
    return absl::InvalidArgumentError(absl::StrCat(
        "rl.value.model reads ", model.config.vocab_size, " different tokens, the policy writes ",
        rank.decoder->config().vocab_size, "; give one of the same family"));
  }
  PONDER_ASSIGN_OR_RETURN(companions.value_decoder, MakeDecoder(config, rank.mesh, model));
  learner::ValueModel::Options options;
  options.step = GradientStepOptions(config.learner().optimizer());
  options.max_tokens_per_microbatch = config.learner().max_tokens_per_microbatch();
  options.clip = rl.value().clip();
  companions.value =
      std::make_unique<learner::ValueModel>(options, *companions.value_decoder, rank.mesh);
  if (rank.checkpoint.has_value()) {
    PONDER_RETURN_IF_ERROR(learner::LoadValueModel(*rank.checkpoint, companions.value.get()));
    companions.value->optimizer().set_step(rank.start.value_step);
  }
  return companions;
}

}  // namespace

absl::Status RunRl(const StageArguments& arguments) {
  const RunFolder run{arguments.run};
  const v1::Config& config = arguments.config;
  const std::string checkpoints = run.checkpoints("rl");
  PONDER_ASSIGN_OR_RETURN(auto rank,
                          OpenLearnerRank(config, arguments.model, checkpoints, arguments.resume));
  const moe::ModelConfig& model_config = rank->decoder->config();
  PONDER_RETURN_IF_ERROR(CheckLengths(config, model_config));
  const data::ModelTextOptions text_options = TextOptions(config.data());
  PONDER_ASSIGN_OR_RETURN(const auto text, OpenText(arguments.model, model_config, text_options));
  PONDER_ASSIGN_OR_RETURN(const Companions companions, OpenCompanions(arguments, *rank));

  std::unique_ptr<learner::SamplePool> pool;
  std::unique_ptr<learner::WeightStore> weights;
  std::unique_ptr<learner::LearnerService> service;
  std::unique_ptr<MetricsLog> metrics;
  if (rank->leads()) {
    PONDER_ASSIGN_OR_RETURN(metrics, MetricsLog::Open(run.metrics()));
    PONDER_ASSIGN_OR_RETURN(pool, OpenPool(config, run, text, model_config, rank->start));
    weights = std::make_unique<learner::WeightStore>(rank->decoder->config().ToJson());
    learner::LearnerService::Options options;
    options.listen = config.learner().listen();
    PONDER_ASSIGN_OR_RETURN(service, learner::LearnerService::Start(options, *pool, *weights));
    PONDER_RETURN_IF_ERROR(WriteFileAtomic(arguments.port_file, service->address()));
    PONDER_LOG(kInfo, "serving prompts and weights on ", service->address());
  }

  learner::TrainLoop::Options loop_options = LoopOptions(config, checkpoints);
  PONDER_ASSIGN_OR_RETURN(loop_options.carried,
                          CarriedFrom(arguments.model, model_config, text_options));
  if (rank->leads()) {
    loop_options.on_first_update = [&] {
      return metrics->Write({{"event", "startup"}, {"what", "first_update"}, {"name", "learner"}});
    };
  }
  learner::TrainLoop loop(
      loop_options, rank->start, *rank->decoder, *rank->updater, rank->mesh,
      {pool.get(), weights.get(), metrics.get()},
      {companions.reference.get(), companions.value.get(), companions.shared_value.get()});
  {
    StopSignal stop([&loop, leads = rank->leads()] {
      if (leads) loop.Stop();
    });
    PONDER_RETURN_IF_ERROR(loop.Run());
  }
  if (rank->leads()) PONDER_RETURN_IF_ERROR(pool->Finish());
  PONDER_RETURN_IF_ERROR(SaveTrained(*rank, arguments.out, run.adapter(), loop_options.carried));
  if (!rank->leads()) return absl::OkStatus();
  // Actors hear that the run is finished before the service goes away.
  service->Shutdown(absl::Seconds(5));
  return absl::OkStatus();
}

}  // namespace ponder::deploy

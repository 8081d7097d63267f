#include "deploy/learner_rank.h"

#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/log.h"
#include "base/status.h"
#include "comm/group.h"
#include "deploy/recipe.h"
#include "learner/lora.h"
#include "learner/value_model.h"
#include "moe/checked_folder.h"
#include "moe/checkpoint.h"

namespace ponder::deploy {

learner::GradientStep::Options GradientStepOptions(const v1::OptimizerConfig& optimizer) {
  learner::GradientStep::Options options;
  options.adamw.beta1 = optimizer.beta1();
  options.adamw.beta2 = optimizer.beta2();
  options.adamw.eps = optimizer.eps();
  options.adamw.weight_decay = optimizer.weight_decay();
  options.max_grad_norm = optimizer.max_grad_norm();
  return options;
}

namespace {

learner::Updater::Options UpdaterOptions(const v1::Config& config) {
  learner::Updater::Options options;
  options.step = GradientStepOptions(config.learner().optimizer());
  options.max_tokens_per_microbatch = config.learner().max_tokens_per_microbatch();
  options.temperature = config.rl().temperature();
  options.objective = ObjectiveOf(config.rl());
  options.router = RouterBalanceOf(config.learner().router());
  return options;
}

learner::LoraAdapters::Options LoraOptionsOf(const v1::Config& config,
                                             const std::string& model_folder) {
  const v1::LoraConfig& lora = config.learner().lora();
  learner::LoraAdapters::Options options;
  options.rank = lora.rank();
  options.alpha = lora.alpha();
  options.targets.clear();
  for (const absl::string_view target : absl::StrSplit(lora.targets(), ',', absl::SkipEmpty())) {
    options.targets.emplace_back(absl::StripAsciiWhitespace(target));
  }
  options.seed = config.seed();
  options.base_model = model_folder;
  return options;
}

absl::StatusOr<learner::Mesh> OpenMesh(const v1::LearnerConfig& config) {
  // Set by Open MPI in every process that mpirun starts.
  const bool under_mpi = std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr;
  std::unique_ptr<comm::Group> world;
  if (under_mpi) {
    PONDER_ASSIGN_OR_RETURN(world, comm::MakeMpiGroup());
  } else {
    world = comm::MakeSoloGroup();
  }
  if (world->size() != config.ranks()) {
    return absl::InvalidArgumentError(
        absl::StrCat("learner.ranks is ", config.ranks(), " but ", world->size(),
                     " rank(s) were started; use mpirun -n ", config.ranks()));
  }
  return learner::MakeMesh(std::move(world), static_cast<int>(config.expert_parallel()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<moe::Decoder>> MakeDecoder(const v1::Config& config,
                                                          const learner::Mesh& mesh,
                                                          const moe::Model& model, bool frozen) {
  moe::Decoder::Options options;
  options.frozen = frozen;
  options.threads = static_cast<int>(config.learner().threads());
  return moe::Decoder::Make(model.config, *model.weights, options,
                            mesh.expert->size() > 1 ? mesh.expert.get() : nullptr);
}

absl::StatusOr<std::unique_ptr<LearnerRank>> OpenLearnerRank(const v1::Config& config,
                                                             const std::string& model_folder,
                                                             const std::string& checkpoints,
                                                             bool resume, bool scalar_head) {
  auto rank = std::make_unique<LearnerRank>();
  PONDER_ASSIGN_OR_RETURN(rank->mesh, OpenMesh(config.learner()));
  std::optional<std::string> checkpoint;
  if (resume) {
    PONDER_ASSIGN_OR_RETURN(checkpoint, learner::NewestCheckpoint(checkpoints));
  }
  const bool adapts = config.learner().lora().rank() > 0;
  // Adapters change the model that they began with.
  PONDER_ASSIGN_OR_RETURN(
      moe::Model model, moe::LoadModel(adapts ? model_folder : checkpoint.value_or(model_folder)));
  if (scalar_head && !model.config.scalar_head) {
    PONDER_ASSIGN_OR_RETURN(model, learner::WithScalarHead(model));
  }
  if (config.learner().router().bias_speed() > 0 && !model.config.router_selection_bias) {
    return absl::InvalidArgumentError(
        absl::StrCat("learner.router.bias_speed is set, but ", model.config.architecture,
                     " has no e_score_correction_bias to move; use learner.router.balance"));
  }
  PONDER_ASSIGN_OR_RETURN(rank->decoder, MakeDecoder(config, rank->mesh, model, adapts));
  rank->updater =
      std::make_unique<learner::Updater>(UpdaterOptions(config), *rank->decoder, rank->mesh);
  if (adapts) {
    PONDER_ASSIGN_OR_RETURN(auto lora, learner::LoraAdapters::Make(
                                           LoraOptionsOf(config, model_folder), *rank->decoder));
    if (rank->leads()) {
      PONDER_LOG(kInfo, "training adapters of ", lora->trained(), " numbers, ",
                 absl::StrFormat("%.2f%%", 100.0 * static_cast<double>(lora->trained()) /
                                               static_cast<double>(lora->all())),
                 " of the model's");
    }
    rank->updater->gradient_step().UseAdapters(std::move(lora));
  }
  rank->checkpoint = checkpoint;
  if (checkpoint.has_value()) {
    PONDER_ASSIGN_OR_RETURN(rank->start, learner::LoadTrainState(*checkpoint));
    learner::AdamW& optimizer = rank->updater->optimizer();
    if (learner::LoraAdapters* lora = rank->updater->gradient_step().lora()) {
      PONDER_RETURN_IF_ERROR(lora->Load(*checkpoint, &optimizer));
    } else {
      PONDER_RETURN_IF_ERROR(learner::LoadOptimizer(*checkpoint, *rank->decoder, &optimizer));
    }
    optimizer.set_step(rank->start.optimizer_step);
    if (rank->leads()) PONDER_LOG(kInfo, "resuming from ", *checkpoint);
  }
  return rank;
}

absl::Status SaveTrained(LearnerRank& rank, const std::string& model_folder,
                         const std::string& adapter_folder, const moe::Carried& carried) {
  PONDER_ASSIGN_OR_RETURN(auto weights, rank.decoder->Export(0));
  if (!rank.leads()) return absl::OkStatus();
  if (const learner::LoraAdapters* lora = rank.updater->gradient_step().lora()) {
    PONDER_RETURN_IF_ERROR(moe::WriteCheckedFolder(adapter_folder, lora->Files()));
  }
  return moe::WriteCheckedFolder(
      model_folder, moe::ModelFiles({rank.decoder->config(), std::move(weights)}, carried));
}

}  // namespace ponder::deploy

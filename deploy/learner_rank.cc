#include "deploy/learner_rank.h"

#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "comm/group.h"
#include "deploy/recipe.h"
#include "learner/value_model.h"
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
                                                          const moe::Model& model) {
  moe::Decoder::Options options;
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
  PONDER_ASSIGN_OR_RETURN(moe::Model model, moe::LoadModel(checkpoint.value_or(model_folder)));
  if (scalar_head && !model.config.scalar_head) {
    PONDER_ASSIGN_OR_RETURN(model, learner::WithScalarHead(model));
  }
  PONDER_ASSIGN_OR_RETURN(rank->decoder, MakeDecoder(config, rank->mesh, model));
  rank->updater =
      std::make_unique<learner::Updater>(UpdaterOptions(config), *rank->decoder, rank->mesh);
  rank->checkpoint = checkpoint;
  if (checkpoint.has_value()) {
    PONDER_ASSIGN_OR_RETURN(rank->start, learner::LoadTrainState(*checkpoint));
    learner::AdamW& optimizer = rank->updater->optimizer();
    PONDER_RETURN_IF_ERROR(learner::LoadOptimizer(*checkpoint, *rank->decoder, &optimizer));
    optimizer.set_step(rank->start.optimizer_step);
    if (rank->leads()) PONDER_LOG(kInfo, "resuming from ", *checkpoint);
  }
  return rank;
}

}  // namespace ponder::deploy

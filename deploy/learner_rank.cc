#include "deploy/learner_rank.h"

#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "comm/group.h"
#include "moe/checkpoint.h"

namespace ponder::deploy {
namespace {

learner::Updater::Options UpdaterOptions(const v1::Config& config) {
  const v1::OptimizerConfig& optimizer = config.learner().optimizer();
  learner::Updater::Options options;
  options.adamw.beta1 = optimizer.beta1();
  options.adamw.beta2 = optimizer.beta2();
  options.adamw.eps = optimizer.eps();
  options.adamw.weight_decay = optimizer.weight_decay();
  options.max_grad_norm = optimizer.max_grad_norm();
  options.max_tokens_per_microbatch = config.learner().max_tokens_per_microbatch();
  options.temperature = config.rl().temperature();
  options.policy_loss.clip_low = config.rl().clip_low();
  options.policy_loss.clip_high = config.rl().clip_high();
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

absl::StatusOr<std::unique_ptr<LearnerRank>> OpenLearnerRank(const v1::Config& config,
                                                             const std::string& model_folder,
                                                             const std::string& checkpoints,
                                                             bool resume) {
  auto rank = std::make_unique<LearnerRank>();
  PONDER_ASSIGN_OR_RETURN(rank->mesh, OpenMesh(config.learner()));
  std::optional<std::string> checkpoint;
  if (resume) {
    PONDER_ASSIGN_OR_RETURN(checkpoint, learner::NewestCheckpoint(checkpoints));
  }
  PONDER_ASSIGN_OR_RETURN(const moe::Model model,
                          moe::LoadModel(checkpoint.value_or(model_folder)));
  moe::Decoder::Options options;
  options.threads = static_cast<int>(config.learner().threads());
  comm::Group* const expert_group =
      rank->mesh.expert->size() > 1 ? rank->mesh.expert.get() : nullptr;
  PONDER_ASSIGN_OR_RETURN(rank->decoder,
                          moe::Decoder::Make(model.config, *model.weights, options, expert_group));
  rank->updater =
      std::make_unique<learner::Updater>(UpdaterOptions(config), *rank->decoder, rank->mesh);
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

// What every learner rank builds before it trains, whatever the stage: its place in the mesh,
// model, optimizer, and where to go on. Wired by hand from the config.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "learner/checkpoint.h"
#include "learner/gradient_step.h"
#include "learner/mesh.h"
#include "learner/updater.h"
#include "moe/decoder.h"
#include "moe/model_files.h"
#include "proto/config.pb.h"

namespace ponder::deploy {

// A machine, not movable: each member refers to those above it.
struct LearnerRank {
  LearnerRank() = default;
  LearnerRank(const LearnerRank&) = delete;
  LearnerRank& operator=(const LearnerRank&) = delete;

  learner::Mesh mesh;
  std::unique_ptr<moe::Decoder> decoder;
  std::unique_ptr<learner::Updater> updater;
  learner::TrainState start;              // zero, or the newest checkpoint's
  std::optional<std::string> checkpoint;  // the folder that training goes on from

  bool leads() const { return mesh.world->rank() == 0; }
};

learner::GradientStep::Options GradientStepOptions(const v1::OptimizerConfig& optimizer);
// A decoder on the rank's place in the mesh; `frozen`: see moe::Decoder::Options.
absl::StatusOr<std::unique_ptr<moe::Decoder>> MakeDecoder(const v1::Config& config,
                                                          const learner::Mesh& mesh,
                                                          const moe::Model& model,
                                                          bool frozen = false);

// The model comes from the newest checkpoint below `checkpoints` if `resume` and there is one, else
// from `model_folder`; with `scalar_head` it gets one in place of its lm_head if it has none yet.
// Under mpirun the world is MPI's; else one rank. InvalidArgument: more or
// fewer ranks than learner.ranks.
absl::StatusOr<std::unique_ptr<LearnerRank>> OpenLearnerRank(const v1::Config& config,
                                                             const std::string& model_folder,
                                                             const std::string& checkpoints,
                                                             bool resume, bool scalar_head = false);

// Writes the trained model, with `carried`, and its adapters if it was trained with LoRA.
// Collective; rank 0 writes.
absl::Status SaveTrained(LearnerRank& rank, const std::string& model_folder,
                         const std::string& adapter_folder, const moe::Carried& carried);

}  // namespace ponder::deploy

// A training checkpoint: a model folder as moe/checkpoint.h writes it, which transformers can load,
// plus optimizer.safetensors (the moments of AdamW by parameter name), state.json, and the value
// model's value.safetensors and value_optimizer.safetensors, or value_head.safetensors of a shared
// one, if there is one. Whole or absent; one file serves every parallel layout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "learner/adamw.h"
#include "learner/lora.h"
#include "learner/mesh.h"
#include "learner/shared_value.h"
#include "learner/value_model.h"
#include "moe/checkpoint.h"
#include "moe/decoder.h"
#include "moe/model_files.h"
#include "reward/normalisation.h"

namespace ponder::learner {

// Where a run stands: what it needs, besides weights and optimizer, to go on as if nothing had
// happened.
struct TrainState {
  int64_t step = 0;             // steps done
  int64_t version = 0;          // of the weights
  int64_t next_group_id = 0;    // SamplePool::Position; 0 in SFT
  int64_t optimizer_step = 0;   // updates done by AdamW
  int64_t value_step = 0;       // the same, of the value model
  std::string curriculum = "";  // SamplePool::Position; empty in SFT
  reward::SourceNormaliser::Moments rewards = {};
};

// Writes <folder>/step-000123, with `carried`, and then deletes the oldest beyond `keep`. `value`,
// `lora` and `shared_value` may be null; with `lora` the optimizer is that of its adapters, and the
// files are those of LoraAdapters. Collective; rank 0 writes.
absl::Status SaveTraining(const std::string& folder, const TrainState& state, moe::Decoder& decoder,
                          AdamW& optimizer, const Mesh& mesh, int64_t keep,
                          const moe::Carried& carried = {}, ValueModel* value = nullptr,
                          const LoraAdapters* lora = nullptr, SharedValue* shared_value = nullptr);

// The newest checkpoint below `folder`, by step; nullopt when there is none.
absl::StatusOr<std::optional<std::string>> NewestCheckpoint(const std::string& folder);

// What a checkpoint holds besides the model; the model itself is moe::LoadModel's.
absl::StatusOr<TrainState> LoadTrainState(const std::string& checkpoint);
// Fills in the optimizer's moments of this rank's parameters.
absl::Status LoadOptimizer(const std::string& checkpoint, const moe::Decoder& decoder,
                           AdamW* optimizer);
// Weights and moments of the value model. DataLoss: the checkpoint has none.
absl::Status LoadValueModel(const std::string& checkpoint, ValueModel* value);
// The same of a shared value head.
absl::Status LoadSharedValue(const std::string& checkpoint, SharedValue* value);

}  // namespace ponder::learner

// PackedModel: the weights of one version as the kernels want them. A value, immutable, shared by
// what runs the forward pass. Legend: H hidden, D head_dim, E experts, I intermediate size, V
// vocabulary.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "moe/checkpoint.h"
#include "moe/kernels/gemm.h"
#include "moe/kernels/thread_pool.h"
#include "moe/model_config.h"

namespace ponder::moe {

struct PackedMlp {
  kernels::PackedMatrix gate, up;  // [H, I]
  kernels::PackedMatrix down;      // [I, H]
};

struct PackedLayer {
  const float* input_layernorm = nullptr;  // [H]
  kernels::PackedMatrix q, k, v, o;
  const float* q_norm = nullptr;  // [D]; null without QK-norm
  const float* k_norm = nullptr;
  const float* post_attention_layernorm = nullptr;              // [H]
  PackedMlp dense;                                              // of dense layers
  kernels::PackedMatrix router;                                 // [H, E]
  std::vector<PackedMlp> experts;                               // [E]; empty in dense layers
  std::vector<const kernels::PackedMatrix*> gates, ups, downs;  // into `experts`
  PackedMlp shared;
  kernels::PackedMatrix shared_gate;  // [H, 1]
};

class PackedModel {
 public:
  // Fails where a tensor is missing or not float32.
  static absl::StatusOr<std::shared_ptr<const PackedModel>> Make(kernels::ThreadPool& pool,
                                                                 const Model& model);

  ModelConfig config;
  std::shared_ptr<const Weights> weights;  // keeps the tensors that are not packed alive
  const float* embed_tokens = nullptr;     // [V, H]
  std::vector<PackedLayer> layers;
  const float* norm = nullptr;            // [H]
  kernels::PackedMatrix lm_head;          // [H, V]
  std::vector<float> rope_cos, rope_sin;  // [max_position_embeddings, D / 2]
};

}  // namespace ponder::moe

// PackedModel: the weights of one version as the kernels want them. A value, immutable, shared by
// what runs the forward pass. Legend: H hidden, D head_dim, E experts, I intermediate size, V
// vocabulary.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "moe/checkpoint.h"
#include "moe/kernels/aligned_buffer.h"
#include "moe/kernels/arena.h"
#include "moe/kernels/gemm.h"
#include "moe/kernels/thread_pool.h"
#include "moe/model_config.h"

namespace ponder::moe {

struct PackedLinear {
  kernels::PackedMatrix weight;  // [in, out]
  std::vector<float> bias;       // [out]; empty: none
};

struct PackedMlp {
  PackedLinear gate, up;  // [H, I]
  PackedLinear down;      // [I, H]
};

// Of multi-head latent attention, see moe/latent_attention.h.
struct PackedLatent {
  PackedLinear q_a;                                              // with q_lora_rank
  std::vector<float> q_a_norm;                                   // with q_lora_rank
  PackedLinear c, rope_key;                                      // kv_a_proj_with_mqa, cut in two
  std::vector<float> c_norm;                                     // kv_a_layernorm
  std::vector<kernels::PackedMatrix> up_key, up_value;           // kv_b_proj, cut into heads
  std::vector<const kernels::PackedMatrix*> up_keys, up_values;  // into these
};

struct PackedLayer {
  std::vector<float> input_layernorm;  // [H]
  PackedLinear q, k, v, o;             // of latent attention q and o alone; q takes q_a's output
  std::vector<float> q_norm, k_norm;   // empty without QK-norm
  PackedLatent latent;
  std::vector<float> post_attention_layernorm;                  // [H]
  PackedMlp dense;                                              // of dense layers
  kernels::PackedMatrix router;                                 // [H, E]
  std::vector<float> selection_bias;                            // [E]; empty: none
  std::vector<PackedMlp> experts;                               // [E]; empty in dense layers
  std::vector<const kernels::PackedMatrix*> gates, ups, downs;  // into `experts`
  PackedMlp shared;
  kernels::PackedMatrix shared_gate;  // [H, 1]
};

class PackedModel {
 public:
  // Keeps nothing of model.weights. Fails where a tensor is missing, not of floats, or damaged.
  static absl::StatusOr<std::shared_ptr<const PackedModel>> Make(kernels::ThreadPool& pool,
                                                                 const Model& model,
                                                                 kernels::WeightType type);

  ModelConfig config;
  kernels::Arena memory;                // of the matrices
  kernels::AlignedBuffer embed_tokens;  // [V, H]
  std::vector<PackedLayer> layers;
  std::vector<float> norm;                // [H]
  kernels::PackedMatrix lm_head;          // [H, V]; [H, 1] with a scalar head
  std::vector<float> rope_cos, rope_sin;  // [max_position_embeddings, rope_dim / 2]
};

}  // namespace ponder::moe

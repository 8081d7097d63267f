// LatentAttentionBlock: x + o_proj(latent attention(norm(x))), DeepSeek's multi-head latent
// attention in absorbed form, see moe/latent_attention.h for the legend.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "moe/kernels/attention.h"
#include "moe/latent_attention.h"
#include "moe/layers/block.h"
#include "moe/layers/linear.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/rms_norm.h"
#include "moe/layers/rotary_tables.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

class LatentAttentionBlock : public Block {
 public:
  // `rotary` outlives the block.
  LatentAttentionBlock(const ModelConfig& config, int64_t layer, const ParameterStore& parameters,
                       const RotaryTables& rotary, Workspace& workspace);

  void Pack() override;
  absl::StatusOr<at::Tensor> Forward(const Batch& batch, const at::Tensor& x_TH,
                                     std::unique_ptr<Saved>* saved) override;
  absl::StatusOr<at::Tensor> Backward(const Batch& batch, const at::Tensor& dy_TH,
                                      const Saved& saved) override;

 private:
  struct Kept;
  // The part of kv_b_proj that a head has: W^UK [N, C] and W^UV [DV, C].
  struct Head {
    ParameterView key, value;
    kernels::PackedMatrix up_key, up_key_transposed;      // [N, C], [C, N]
    kernels::PackedMatrix up_value, up_value_transposed;  // [C, DV], [DV, C]
  };

  at::Tensor New(int64_t rows, int64_t width) const {
    return workspace_.activations.New({rows, width});
  }
  Rotation RotationOf(const Batch& batch) const;
  // The projected queries [T, NH * (N + P)] of the normed input.
  void ProjectQueries(const float* normed, int64_t t, Kept* kept) const;
  // From the gradient of the expanded values [T, NH * DV] to that of what attention gathered.
  at::Tensor BackwardValues(const at::Tensor& dvalues, const at::Tensor& gathered) const;
  // From the gradient of the absorbed queries, before rotation, to that of the projected ones.
  at::Tensor BackwardQueries(const at::Tensor& dq_latent, const at::Tensor& q) const;

  Workspace& workspace_;
  const RotaryTables& rotary_;
  const bool interleave_;
  const LatentShape shape_;
  const kernels::AttentionShape attention_;
  RmsNorm norm_;
  std::optional<Linear> q_a_;
  std::optional<RmsNorm> q_a_norm_;
  Linear q_;  // q_b_proj or q_proj
  Linear c_, rope_key_;
  RmsNorm c_norm_;
  Linear o_;
  std::vector<Head> heads_;
  std::vector<const kernels::PackedMatrix*> up_keys_, up_values_;
};

}  // namespace ponder::moe

// AttentionBlock: x + o_proj(attention(qkv_proj(norm(x)))) with RoPE, grouped key/value heads and
// optional biases, QK-norm and clamping.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "moe/kernels/attention.h"
#include "moe/layers/block.h"
#include "moe/layers/linear.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/rms_norm.h"
#include "moe/layers/rotary_tables.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

class AttentionBlock : public Block {
 public:
  // `rotary` outlives the block.
  AttentionBlock(const ModelConfig& config, int64_t layer, const ParameterStore& parameters,
                 const RotaryTables& rotary, Workspace& workspace);

  void Pack() override;
  absl::StatusOr<at::Tensor> Forward(const Batch& batch, const at::Tensor& x_TH,
                                     std::unique_ptr<Saved>* saved) override;
  absl::StatusOr<at::Tensor> Backward(const Batch& batch, const at::Tensor& dy_TH,
                                      const Saved& saved) override;

 private:
  struct Kept;
  // Query or key heads from their projection: normalised (with QK-norm), clamped (with clip_qkv) and
  // rotated.
  at::Tensor Rotated(const Batch& batch, const at::Tensor& projected, int64_t heads,
                     const std::optional<RmsNorm>& norm, const at::Tensor* inv_rms) const;
  // The gradient of the projection from that of the rotated heads, which it may overwrite.
  at::Tensor RotatedBackward(const Batch& batch, at::Tensor dheads, const at::Tensor& projected,
                             int64_t heads, const std::optional<RmsNorm>& norm,
                             const at::Tensor& inv_rms) const;
  // What Rotated makes before it rotates.
  void NormAndClamp(const float* projected, int64_t t, int64_t heads,
                    const std::optional<RmsNorm>& norm, float* out, float* inv_rms) const;

  Workspace& workspace_;
  const float clip_;  // 0: none
  const RotaryTables& rotary_;
  const kernels::AttentionShape shape_;
  RmsNorm norm_;
  Linear q_proj_;
  Linear k_proj_;
  Linear v_proj_;
  Linear o_proj_;
  std::optional<RmsNorm> q_norm_;
  std::optional<RmsNorm> k_norm_;
};

}  // namespace ponder::moe

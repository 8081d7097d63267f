// MoeBlock: x + routed experts (+ gated shared expert) of norm(x). Dropless; experts here or
// sharded over a group.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "moe/kernels/routing.h"
#include "moe/layers/block.h"
#include "moe/layers/expert_exchange.h"
#include "moe/layers/linear.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/rms_norm.h"
#include "moe/layers/shared_mlp.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

// What the router of one layer did since the last reset. A value.
struct LayerRouterStats {
  std::vector<int64_t> expert_tokens;  // [E]
  double entropy_sum = 0;
  int64_t tokens = 0;
};

class MoeBlock : public Block {
 public:
  // `exchange` (null: all experts are here) outlives the block.
  MoeBlock(const ModelConfig& config, int64_t layer, const ParameterStore& parameters,
           ExpertShard shard, ExpertExchange* exchange, Workspace& workspace);

  void Pack() override;
  absl::StatusOr<at::Tensor> Forward(const Batch& batch, const at::Tensor& x_TH,
                                     std::unique_ptr<Saved>* saved) override;
  absl::StatusOr<at::Tensor> Backward(const Batch& batch, const at::Tensor& dy_TH,
                                      const Saved& saved) override;

  LayerRouterStats& stats() { return stats_; }

 private:
  struct Kept;
  // One projection of all the experts that this rank owns.
  using ExpertLinears = std::vector<std::unique_ptr<Linear>>;

  void Route(const float* normed_TH, int64_t t, Kept* kept);
  // The owned experts on their rows, sorted by expert; fills kept's gate and up.
  at::Tensor ForwardExperts(const at::Tensor& rows_RH, absl::Span<const int64_t> offsets,
                            Kept* kept) const;
  at::Tensor BackwardExperts(const at::Tensor& dout_RH, const at::Tensor& rows_RH,
                             absl::Span<const int64_t> offsets, const Kept& kept) const;
  // Gradients of the sum over slots: of the experts' rows (returned) and of the slots' weights.
  at::Tensor BackwardCombine(const float* dy_TH, int64_t t, const Kept& kept,
                             float* dweights_TK) const;
  // y[rows of e] = x[rows of e] times W_e, forward or transposed.
  void Grouped(const ExpertLinears& linears, bool transposed, const at::Tensor& x,
               absl::Span<const int64_t> offsets, at::Tensor& y) const;
  // Adds dy^T x to the gradients of the experts of each projection in `linears`, which share x.
  void GroupedWeightGradients(
      absl::Span<const std::pair<const ExpertLinears*, const at::Tensor*>> linears,
      const at::Tensor& x, absl::Span<const int64_t> offsets) const;

  Workspace& workspace_;
  const kernels::RouterOptions router_options_;
  ExpertExchange* const exchange_;
  RmsNorm norm_;
  Linear router_;
  ExpertLinears gate_proj_, up_proj_, down_proj_;  // [owned experts]
  std::optional<SharedMlp> shared_;
  LayerRouterStats stats_;
};

}  // namespace ponder::moe

// MoeBlock: x + routed experts (+ gated shared expert) of norm(x). Dropless; the experts are here
// or sharded over a group.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "moe/kernels/routing.h"
#include "moe/layers/block.h"
#include "moe/layers/expert_exchange.h"
#include "moe/layers/experts.h"
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

  // Chooses the experts and their weights, and counts them.
  void Route(const float* normed_TH, int64_t t, Kept* kept);
  // The rows [T * K, H] of the normed tokens, sorted by expert.
  at::Tensor SortedRows(const float* normed_TH, int64_t t, const Kept& kept) const;
  // Gradients of the weighted sum over slots: of the experts' outputs [T * K, H] (returned) and of
  // the weights [T, K].
  at::Tensor BackwardCombine(const float* dy_TH, int64_t t, const Kept& kept,
                             float* dweights_TK) const;

  Workspace& workspace_;
  const kernels::RouterOptions router_options_;
  ExpertExchange* const exchange_;
  RmsNorm norm_;
  Linear router_;
  std::optional<ParameterView> selection_bias_;  // [E]; takes part in the choice, has no gradient
  Experts experts_;
  std::optional<SharedMlp> shared_;
  LayerRouterStats stats_;
};

}  // namespace ponder::moe

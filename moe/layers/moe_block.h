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
#include "moe/router_loss.h"

namespace ponder::moe {

// What the router of one layer did since the last reset. A value.
struct LayerRouterStats {
  std::vector<int64_t> expert_tokens;  // [E]
  double entropy_sum = 0;
  int64_t tokens = 0;
  RouterLossSums loss;                 // of the backward passes
  int64_t replayed = 0, rerouted = 0;  // see RouterStats
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

  int64_t layer() const { return layer_; }
  LayerRouterStats& stats() { return stats_; }
  // What each backward pass adds for the router; `load_E` as in AddRouterLoss. Both outlive it.
  void SetRouterLoss(const RouterLoss* loss, const double* load_E) {
    router_loss_ = loss;
    load_E_ = load_E;
  }
  // The bias of each expert goes down by `speed` if it got more than its even share of the tokens,
  // up if less. Nothing without a bias.
  void NudgeSelectionBias(absl::Span<const int64_t> expert_tokens_E, float speed);

 private:
  struct Kept;

  // Chooses the experts and their weights, and counts them.
  void Route(const Batch& batch, const float* normed_TH, Kept* kept);
  // Puts the experts that the batch gives in the place of those that were chosen.
  void Replay(const Batch& batch, Kept* kept);
  // The rows [T * K, H] of the normed tokens, sorted by expert.
  at::Tensor SortedRows(const float* normed_TH, int64_t t, const Kept& kept) const;
  // Gradients of the weighted sum over slots: of the experts' outputs [T * K, H] (returned) and of
  // the weights [T, K].
  at::Tensor BackwardCombine(const float* dy_TH, int64_t t, const Kept& kept,
                             float* dweights_TK) const;

  const int64_t layer_;
  const int64_t routing_begin_, routing_stride_;  // of a token in Batch::routing
  Workspace& workspace_;
  const kernels::RouterOptions router_options_;
  ExpertExchange* const exchange_;
  RmsNorm norm_;
  Linear router_;
  std::optional<ParameterView> selection_bias_;  // [E]; takes part in the choice, has no gradient
  Experts experts_;
  std::optional<SharedMlp> shared_;
  LayerRouterStats stats_;
  const RouterLoss* router_loss_ = nullptr;
  const double* load_E_ = nullptr;
};

}  // namespace ponder::moe

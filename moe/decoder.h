// Decoder: the trainable model. Its forward composes the kernels of moe/inference.h in the same
// order, so that the log-probs that it recomputes are the bits that the actor recorded (promise 2);
// its backward is written by hand with the same kernels, and everything that it sums over tokens it
// sums in token order.
//
// One Decoder per learner rank. With an expert group the experts of each MoE layer are sharded over
// its ranks, E / size consecutive ones each; every rank brings its own tokens, and all ranks must
// make the same calls in the same order (Forward, Backward, Export), a rank without tokens too (an
// empty batch).
//
// Legend of moe/decoder and moe/layers/: T tokens, H hidden, NH query heads, KH key/value heads, D
// head_dim, F feed-forward width, E experts, K experts a token, R (token, slot) rows sorted by
// expert, N rows with a target, V vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "comm/group.h"
#include "moe/kernels/thread_pool.h"
#include "moe/model_config.h"
#include "moe/router_loss.h"
#include "moe/weights.h"

namespace ponder::moe {

// Sequences packed one after another, without padding; attention does not cross from one to the
// next. A value.
struct PackedBatch {
  std::vector<int32_t> tokens;  // [T]
  // [S + 1]: sequence s is tokens [starts[s], starts[s + 1]); the last is T.
  std::vector<int64_t> starts{0};
  // Empty: the routers choose. Else the experts of each token, [T, MoE layers, K], that are used
  // instead, with weights of the router's present scores, through which its gradient goes; of a
  // token that begins with kUnroutedToken the routers choose (moe/routing_record.h).
  std::vector<uint16_t> routing = {};
};

// What the policy says of N given tokens. All float32, [N] and differentiable.
struct TokenStats {
  at::Tensor logprob;  // log softmax(logits / temperature)[target]
  at::Tensor entropy;  // of the whole distribution at that temperature, in nats
  at::Tensor log_z;    // log sum exp(logits / temperature)
  at::Tensor hidden;   // [N, H], what the lm_head reads of the rows; undefined unless asked for
};

// A leaf. `tensor.grad()` is a view into the decoder's gradient buffer: zero it in place, never
// reset it.
struct Parameter {
  std::string name;     // Hugging Face name
  at::Tensor tensor;    // requires_grad and has a gradient, unless it is frozen
  bool expert = false;  // sharded over the expert group; else every rank holds a copy
};

// A change of a frozen matrix W [out, in] that is trained instead of it: W holds W_0 + scale B A
// already. Where its factors and their gradients lie; Backward adds to the latter.
struct LowRank {
  const float* a = nullptr;  // [rank, in]
  const float* b = nullptr;  // [out, rank]
  float* da = nullptr;
  float* db = nullptr;
  int64_t rank = 0;
  float scale = 1;
};

// How the router spread the tokens of this rank, summed over Forward calls. Summable over ranks.
struct RouterStats {
  std::vector<int64_t> layers;  // [MoE layers]: their places among all layers
  // [MoE layers][E]: (token, slot) pairs sent to each expert.
  std::vector<std::vector<int64_t>> expert_tokens;
  double entropy_sum = 0;  // of softmax(router logits) in nats, summed over tokens and MoE layers
  int64_t tokens = 0;      // tokens times MoE layers: entropy_sum / tokens is the mean
  RouterLossSums loss;     // of Backward calls
  // Tokens times MoE layers whose experts were given, and those of them where the router's own
  // choice would have been another set.
  int64_t replayed = 0;
  int64_t rerouted = 0;

  // Largest share over mean share of an expert, averaged over layers; 1 is perfect balance, 0
  // without tokens.
  double MeanLoadImbalance() const;
  // "layer.expert" of those that got less than a tenth of their even share.
  std::vector<std::string> StarvingExperts() const;
};

// A machine: owns parameters, gradients, their packed copies and a thread pool. One thread at a
// time.
class Decoder {
 public:
  struct Options {
    int threads = 1;  // of the kernels; does not change a bit
    // No parameter but a scalar head has a gradient, nor the memory and the work of one: for
    // reference models, and for adapters.
    bool frozen = false;
  };
  // Starts from `weights`. `expert_group` (null: all experts here) outlives the decoder; its size
  // divides num_experts. Sets LibTorch's own pool to one thread. InvalidArgument: the config or the
  // weights do not fit.
  static absl::StatusOr<std::unique_ptr<Decoder>> Make(const ModelConfig& config,
                                                       const Weights& weights,
                                                       const Options& options,
                                                       comm::Group* expert_group = nullptr);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  const ModelConfig& config() const;

  // This rank's parameters, in the order of config.Layout(); of the experts only its own.
  absl::Span<const Parameter> parameters() const;
  // The gradients of all replicated / all expert parameters, each as one flat array in the order of
  // parameters(): what a data-parallel group sums. Backward adds to them.
  absl::Span<float> replicated_gradients();
  absl::Span<float> expert_gradients();
  void ZeroGradients();
  // The threads of its kernels, for what else goes over its parameters while none of its calls
  // runs.
  kernels::ThreadPool& pool();
  bool frozen() const;
  // From now on Backward adds to the gradients of this change of the matrix `name`, of a frozen
  // decoder. What it points to outlives the decoder, or the next call.
  void Adapt(absl::string_view name, const LowRank& adapter);
  // Must be called when parameters have been written to (after an optimizer step), before the next
  // Forward.
  void WeightsChanged();

  // Runs the batch and scores `targets[i]` as the successor of token `rows[i]` (an index into
  // batch.tokens), i in [0, N). Only these rows go through the lm_head. Under at::NoGradGuard
  // nothing is kept for backward. InvalidArgument: a malformed batch, a token or target outside the
  // vocabulary, a sequence that is too long.
  absl::StatusOr<TokenStats> Forward(const PackedBatch& batch, absl::Span<const int32_t> rows,
                                     absl::Span<const int32_t> targets, float temperature,
                                     bool hidden = false);
  // Of Forward's TokenStats `hidden` alone, without logits.
  absl::StatusOr<at::Tensor> ForwardHidden(const PackedBatch& batch,
                                           absl::Span<const int32_t> rows);
  // The scalar head's output after each token of `rows`, float32 [N], differentiable; the config
  // must have a scalar head (then there is no Forward).
  absl::StatusOr<at::Tensor> ForwardValues(const PackedBatch& batch,
                                           absl::Span<const int32_t> rows);
  // loss.backward() for a scalar made from TokenStats or values; a failing collective comes back as
  // its status.
  absl::Status Backward(const at::Tensor& loss);

  // What Backward adds to the gradient of every router from now on.
  void SetRouterLoss(RouterLoss loss);
  // Bias update without a loss (DeepSeek-V3): each expert's selection bias goes up or down by
  // `speed`, as it got less or more than its share of `expert_tokens` [MoE layers][E], the whole
  // update's. Nothing where the router has no such bias.
  void NudgeSelectionBias(const std::vector<std::vector<int64_t>>& expert_tokens, double speed);

  // Statistics of the calls since the last call of this.
  RouterStats TakeRouterStats();

  // All weights as one blob in the order of config.Layout(), with checksums. Collective over the
  // expert group: every rank gets the same.
  absl::StatusOr<std::shared_ptr<const Weights>> Export(int64_t version);
  // Replaces all weights. Gradients stay.
  absl::Status Load(const Weights& weights);

 private:
  struct State;
  explicit Decoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ponder::moe

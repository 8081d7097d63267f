// See moe_block.h.
#include "moe/layers/moe_block.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "moe/kernels/elementwise.h"
#include "moe/layers/weighted_rows.h"
#include "moe/routing_record.h"

namespace ponder::moe {
struct MoeBlock::Kept : Block::Saved {
  at::Tensor x;                  // [T, H]
  at::Tensor inv_rms;            // [T]
  at::Tensor logits;             // [T, E]
  std::vector<int32_t> experts;  // [T, K]
  at::Tensor weights;            // [T, K]
  kernels::ExpertOrder order;
  ExpertRoute route;  // with an exchange
  // With an exchange: the inputs of the owned experts; else they are gathered again.
  at::Tensor exchanged_rows;
  Experts::Kept owned;
  at::Tensor outputs;  // [T * K, H]: what the experts made of this rank's tokens, sorted by expert
  SharedMlp::Kept shared;
};

MoeBlock::MoeBlock(const ModelConfig& config, int64_t layer, const ParameterStore& parameters,
                   ExpertShard shard, ExpertExchange* exchange, Workspace& workspace)
    : layer_(layer),
      routing_begin_(RoutingShape::Of(config).first_slot(layer)),
      routing_stride_(RoutingShape::Of(config).token_slots()),
      workspace_(workspace),
      router_options_(config.router_options()),
      exchange_(exchange),
      norm_(
          workspace,
          parameters.View(absl::StrCat("model.layers.", layer, ".post_attention_layernorm.weight")),
          config.rms_norm_eps),
      router_(workspace, parameters.View(absl::StrCat("model.layers.", layer, ".mlp.gate.weight"))),
      experts_(parameters, absl::StrCat("model.layers.", layer, ".mlp."), shard, workspace) {
  if (config.router_selection_bias) {
    selection_bias_ =
        parameters.View(absl::StrCat("model.layers.", layer, ".mlp.gate.e_score_correction_bias"));
  }
  if (config.shared_expert_intermediate_size > 0) {
    shared_.emplace(parameters, absl::StrCat("model.layers.", layer, ".mlp."), workspace);
  }
  stats_.expert_tokens.assign(config.num_experts, 0);
}

void MoeBlock::Pack() {
  router_.Pack();
  experts_.Pack();
  if (shared_) shared_->Pack();
}

void MoeBlock::NudgeSelectionBias(absl::Span<const int64_t> expert_tokens_E, float speed) {
  if (!selection_bias_) return;
  const int64_t experts = static_cast<int64_t>(expert_tokens_E.size());
  const int64_t all = std::accumulate(expert_tokens_E.begin(), expert_tokens_E.end(), int64_t{0});
  for (int64_t e = 0; e < experts; ++e) {
    const int64_t above = expert_tokens_E[e] * experts - all;
    if (above != 0) selection_bias_->weight[e] -= above > 0 ? speed : -speed;
  }
}

void MoeBlock::Replay(const Batch& batch, Kept* kept) {
  const int64_t k = router_options_.num_experts_per_tok;
  for (int64_t token = 0; token < batch.size(); ++token) {
    const uint16_t* of_token = batch.routing.data() + token * routing_stride_;
    if (of_token[0] == kUnroutedToken) continue;
    const uint16_t* given = of_token + routing_begin_;
    int32_t* chosen = kept->experts.data() + token * k;
    ++stats_.replayed;
    stats_.rerouted += !std::is_permutation(given, given + k, chosen);
    std::copy(given, given + k, chosen);
  }
  kernels::RouterWeights(workspace_.pool, router_options_, kept->logits.data_ptr<float>(),
                         batch.size(), kept->experts.data(), kept->weights.data_ptr<float>());
}

void MoeBlock::Route(const Batch& batch, const float* normed_TH, Kept* kept) {
  const int64_t t = batch.size();
  const int64_t e = router_options_.num_experts;
  const int64_t k = router_options_.num_experts_per_tok;
  kept->logits = workspace_.activations.New({t, e});
  kept->weights = workspace_.activations.New({t, k});
  kept->experts.resize(t * k);
  float* logits = kept->logits.data_ptr<float>();
  router_.Forward(normed_TH, t, logits, e);
  if (t > 0) {
    kernels::RouterForward(workspace_.pool, router_options_, logits, t,
                           selection_bias_ ? selection_bias_->weight : nullptr,
                           kept->experts.data(), kept->weights.data_ptr<float>());
    if (!batch.routing.empty()) Replay(batch, kept);
  }
  kernels::SortByExpert(kept->experts.data(), t, k, e, &kept->order);

  std::vector<float> entropy(t);
  if (t > 0) {
    kernels::LogSoftmaxStats(workspace_.pool, logits, t, e, /*temperature=*/1, nullptr, nullptr,
                             entropy.data(), nullptr);
  }
  for (float token_entropy : entropy) stats_.entropy_sum += token_entropy;
  stats_.tokens += t;
  for (int64_t i = 0; i < e; ++i) {
    stats_.expert_tokens[i] += kept->order.offsets[i + 1] - kept->order.offsets[i];
  }
}

at::Tensor MoeBlock::SortedRows(const float* normed_TH, int64_t t, const Kept& kept) const {
  const int64_t h = router_.in();
  const int64_t rows = t * router_options_.num_experts_per_tok;
  at::Tensor sorted = workspace_.activations.New({rows, h});
  if (rows > 0) {
    kernels::GatherRows(workspace_.pool, normed_TH, kept.order.token_of.data(), rows, h,
                        sorted.data_ptr<float>());
  }
  return sorted;
}

at::Tensor MoeBlock::BackwardCombine(const float* dy_TH, int64_t t, const Kept& kept,
                                     float* dweights_TK) const {
  const int64_t k = router_options_.num_experts_per_tok;
  const int64_t h = kept.outputs.size(1);
  at::Tensor drows = workspace_.activations.New({t * k, h});
  const float* outputs = kept.outputs.data_ptr<float>();
  const float* weights = kept.weights.data_ptr<float>();
  const int32_t* row_of = kept.order.row_of.data();
  float* drows_RH = drows.data_ptr<float>();
  workspace_.pool.ParallelFor(t, 64, [&](int64_t begin, int64_t end) {
    for (int64_t slot = begin * k; slot < end * k; ++slot) {
      const int64_t row = row_of[slot];
      dweights_TK[slot] = WeightedRowBackward(dy_TH + slot / k * h, outputs + row * h,
                                              weights[slot], h, drows_RH + row * h);
    }
  });
  return drows;
}

absl::StatusOr<at::Tensor> MoeBlock::Forward(const Batch& batch, const at::Tensor& x_TH,
                                             std::unique_ptr<Saved>* saved) {
  const int64_t t = batch.size();
  const int64_t h = x_TH.size(1);
  const int64_t k = router_options_.num_experts_per_tok;
  auto kept = std::make_unique<Kept>();
  kept->x = x_TH;
  kept->inv_rms = workspace_.activations.New({t});
  const at::Tensor normed = workspace_.activations.New({t, h});
  const float* normed_TH = normed.data_ptr<float>();
  if (t > 0) {
    norm_.Forward(x_TH.data_ptr<float>(), t, normed.data_ptr<float>(),
                  kept->inv_rms.data_ptr<float>());
  }
  Route(batch, normed_TH, kept.get());

  const at::Tensor rows = SortedRows(normed_TH, t, *kept);
  if (exchange_ == nullptr) {
    kept->outputs = experts_.Forward(rows, kept->order.offsets, &kept->owned);
  } else {
    PONDER_ASSIGN_OR_RETURN(kept->route, exchange_->Plan(kept->order.offsets));
    PONDER_ASSIGN_OR_RETURN(kept->exchanged_rows, exchange_->ToOwners(kept->route, rows));
    const at::Tensor out =
        experts_.Forward(kept->exchanged_rows, kept->route.offsets, &kept->owned);
    PONDER_ASSIGN_OR_RETURN(kept->outputs, exchange_->ToSenders(kept->route, out));
  }

  at::Tensor y = workspace_.activations.New({t, h});
  if (t > 0) {
    float* y_TH = y.data_ptr<float>();
    kernels::CombineRows(workspace_.pool, kept->outputs.data_ptr<float>(),
                         kept->order.row_of.data(), kept->weights.data_ptr<float>(), t, k, h, y_TH);
    if (shared_) shared_->Forward(normed_TH, t, y_TH, &kept->shared);
    kernels::AddInPlace(workspace_.pool, y_TH, x_TH.data_ptr<float>(), t * h);
  }
  if (saved != nullptr) *saved = std::move(kept);
  return y;
}

absl::StatusOr<at::Tensor> MoeBlock::Backward(const Batch& batch, const at::Tensor& dy_TH,
                                              const Saved& saved) {
  const auto& kept = static_cast<const Kept&>(saved);
  const int64_t t = batch.size();
  const int64_t h = dy_TH.size(1);
  const int64_t k = router_options_.num_experts_per_tok;
  const int64_t e = router_options_.num_experts;
  const float* dy = dy_TH.data_ptr<float>();
  const at::Tensor normed = workspace_.activations.New({t, h});
  float* normed_TH = normed.data_ptr<float>();
  if (t > 0) norm_.Forward(kept.x.data_ptr<float>(), t, normed_TH, nullptr);

  const at::Tensor dweights = workspace_.activations.New({t, k});
  at::Tensor drows = BackwardCombine(dy, t, kept, dweights.data_ptr<float>());
  if (exchange_ == nullptr) {
    const at::Tensor rows = SortedRows(normed_TH, t, kept);
    drows = experts_.Backward(drows, rows, kept.order.offsets, kept.owned);
  } else {
    PONDER_ASSIGN_OR_RETURN(const at::Tensor dout, exchange_->ToOwners(kept.route, drows));
    const at::Tensor downed =
        experts_.Backward(dout, kept.exchanged_rows, kept.route.offsets, kept.owned);
    PONDER_ASSIGN_OR_RETURN(drows, exchange_->ToSenders(kept.route, downed));
  }
  at::Tensor dx = workspace_.activations.New({t, h});
  if (t == 0) return dx;

  const at::Tensor dnormed = workspace_.activations.New({t, h});
  float* dnormed_TH = dnormed.data_ptr<float>();
  const std::vector<float> ones(t * k, 1.0f);
  kernels::CombineRows(workspace_.pool, drows.data_ptr<float>(), kept.order.row_of.data(),
                       ones.data(), t, k, h, dnormed_TH);
  const at::Tensor dlogits = workspace_.activations.New({t, e});
  kernels::RouterBackward(workspace_.pool, router_options_, kept.logits.data_ptr<float>(), t,
                          kept.experts.data(), dweights.data_ptr<float>(),
                          dlogits.data_ptr<float>());
  if (router_loss_ != nullptr && router_loss_->on()) {
    const RouterLossSums sums = AddRouterLoss(router_options_, *router_loss_, load_E_, batch.starts,
                                              kept.logits.data_ptr<float>(), kept.experts.data(),
                                              workspace_.pool, dlogits.data_ptr<float>());
    stats_.loss.balance += sums.balance;
    stats_.loss.z += sums.z;
  }
  router_.BackwardInput(dlogits.data_ptr<float>(), t, dnormed_TH, /*accumulate=*/true);
  AddWeightGradients(workspace_, normed_TH, t, {{&router_, dlogits.data_ptr<float>()}});
  if (shared_) shared_->Backward(dy, normed_TH, t, kept.shared, dnormed_TH);

  norm_.Backward(dnormed_TH, kept.x.data_ptr<float>(), kept.inv_rms.data_ptr<float>(), t,
                 dx.data_ptr<float>());
  kernels::AddInPlace(workspace_.pool, dx.data_ptr<float>(), dy, t * h);
  return dx;
}

}  // namespace ponder::moe

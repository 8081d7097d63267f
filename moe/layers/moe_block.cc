// See moe_block.h.
#include "moe/layers/moe_block.h"

#include <torch/torch.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "moe/kernels/elementwise.h"
#include "moe/layers/weighted_rows.h"

namespace ponder::moe {
struct MoeBlock::Kept : Block::Saved {
  at::Tensor x;                  // [T, H]
  at::Tensor inv_rms;            // [T]
  at::Tensor logits;             // [T, E]
  std::vector<int32_t> experts;  // [T, K]
  at::Tensor weights;            // [T, K]
  kernels::ExpertOrder order;
  ExpertRoute route;  // with an exchange
  at::Tensor
      exchanged_rows;   // with an exchange: the owned experts' inputs; else they are gathered again
  at::Tensor gate, up;  // [owned rows, F]
  at::Tensor outputs;   // [T * K, H]: what the experts made of this rank's tokens, sorted by expert
  SharedMlp::Kept shared;
};

MoeBlock::MoeBlock(const ModelConfig& config, int64_t layer, const ParameterStore& parameters,
                   ExpertShard shard, ExpertExchange* exchange, Workspace& workspace)
    : workspace_(workspace),
      router_options_(config.router_options()),
      exchange_(exchange),
      norm_(
          workspace,
          parameters.View(absl::StrCat("model.layers.", layer, ".post_attention_layernorm.weight")),
          config.rms_norm_eps),
      router_(workspace,
              parameters.View(absl::StrCat("model.layers.", layer, ".mlp.gate.weight"))) {
  const std::string prefix = absl::StrCat("model.layers.", layer, ".mlp.");
  for (int64_t e = shard.first; e < shard.first + shard.count; ++e) {
    const std::string expert = absl::StrCat(prefix, "experts.", e, ".");
    gate_proj_.push_back(
        std::make_unique<Linear>(workspace, parameters.View(expert + "gate_proj.weight")));
    up_proj_.push_back(
        std::make_unique<Linear>(workspace, parameters.View(expert + "up_proj.weight")));
    down_proj_.push_back(
        std::make_unique<Linear>(workspace, parameters.View(expert + "down_proj.weight")));
  }
  if (config.shared_expert_intermediate_size > 0) {
    shared_.emplace(parameters, prefix, workspace);
  }
  stats_.expert_tokens.assign(config.num_experts, 0);
}

void MoeBlock::Pack() {
  router_.Pack();
  for (const ExpertLinears* linears : {&gate_proj_, &up_proj_, &down_proj_}) {
    for (const std::unique_ptr<Linear>& linear : *linears) linear->Pack();
  }
  if (shared_) shared_->Pack();
}

void MoeBlock::Route(const float* normed_TH, int64_t t, Kept* kept) {
  const int64_t e = router_options_.num_experts;
  const int64_t k = router_options_.num_experts_per_tok;
  kept->logits = NewActivation({t, e});
  kept->weights = NewActivation({t, k});
  kept->experts.resize(t * k);
  float* logits = kept->logits.data_ptr<float>();
  router_.Forward(normed_TH, t, logits, e);
  if (t > 0) {
    kernels::RouterForward(workspace_.pool, router_options_, logits, t,
                           /*selection_bias_E=*/nullptr, kept->experts.data(),
                           kept->weights.data_ptr<float>());
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

void MoeBlock::Grouped(const ExpertLinears& linears, bool transposed, const at::Tensor& x,
                       absl::Span<const int64_t> offsets, at::Tensor& y) const {
  if (x.size(0) == 0) return;
  std::vector<const kernels::PackedMatrix*> packed;
  packed.reserve(linears.size());
  for (const std::unique_ptr<Linear>& linear : linears) {
    packed.push_back(transposed ? &linear->packed_transposed() : &linear->packed());
  }
  kernels::GroupedGemm(workspace_.pool, x.data_ptr<float>(), x.size(1), offsets, packed,
                       y.data_ptr<float>(), y.size(1));
}

void MoeBlock::GroupedWeightGradients(
    absl::Span<const std::pair<const ExpertLinears*, const at::Tensor*>> linears,
    const at::Tensor& x, absl::Span<const int64_t> offsets) const {
  const int64_t width = x.size(1);
  for (size_t e = 0; e + 1 < offsets.size(); ++e) {
    const int64_t first = offsets[e];
    const int64_t rows = offsets[e + 1] - first;
    if (rows == 0) continue;
    const kernels::PackedMatrix& packed =
        workspace_.PackActivations(x.data_ptr<float>() + first * width, width, rows, width);
    for (const auto& [linear, dy] : linears) {
      (*linear)[e]->BackwardWeight(dy->data_ptr<float>() + first * dy->size(1), packed);
    }
  }
}

at::Tensor MoeBlock::ForwardExperts(const at::Tensor& rows_RH, absl::Span<const int64_t> offsets,
                                    Kept* kept) const {
  const int64_t r = rows_RH.size(0);
  const int64_t f = gate_proj_.front()->out();
  kept->gate = NewActivation({r, f});
  kept->up = NewActivation({r, f});
  at::Tensor hidden = NewActivation({r, f});
  at::Tensor out = NewActivation(rows_RH.sizes());
  if (r == 0) return out;
  Grouped(gate_proj_, /*transposed=*/false, rows_RH, offsets, kept->gate);
  Grouped(up_proj_, /*transposed=*/false, rows_RH, offsets, kept->up);
  kernels::SwiGluForward(workspace_.pool, kept->gate.data_ptr<float>(), kept->up.data_ptr<float>(),
                         r * f, hidden.data_ptr<float>());
  Grouped(down_proj_, /*transposed=*/false, hidden, offsets, out);
  return out;
}

at::Tensor MoeBlock::BackwardExperts(const at::Tensor& dout_RH, const at::Tensor& rows_RH,
                                     absl::Span<const int64_t> offsets, const Kept& kept) const {
  const int64_t r = rows_RH.size(0);
  const int64_t f = gate_proj_.front()->out();
  at::Tensor drows = NewActivation(rows_RH.sizes());
  if (r == 0) return drows;
  const float* gate = kept.gate.data_ptr<float>();
  const float* up = kept.up.data_ptr<float>();
  at::Tensor hidden = NewActivation({r, f});
  kernels::SwiGluForward(workspace_.pool, gate, up, r * f, hidden.data_ptr<float>());
  GroupedWeightGradients({{&down_proj_, &dout_RH}}, hidden, offsets);

  at::Tensor& dhidden = hidden;  // the activations are used up
  Grouped(down_proj_, /*transposed=*/true, dout_RH, offsets, dhidden);
  at::Tensor dgate = NewActivation({r, f});
  at::Tensor dup = NewActivation({r, f});
  kernels::SwiGluBackward(workspace_.pool, dhidden.data_ptr<float>(), gate, up, r * f,
                          dgate.data_ptr<float>(), dup.data_ptr<float>());
  GroupedWeightGradients({{&gate_proj_, &dgate}, {&up_proj_, &dup}}, rows_RH, offsets);

  Grouped(gate_proj_, /*transposed=*/true, dgate, offsets, drows);
  at::Tensor drows_up = NewActivation(rows_RH.sizes());
  Grouped(up_proj_, /*transposed=*/true, dup, offsets, drows_up);
  kernels::AddInPlace(workspace_.pool, drows.data_ptr<float>(), drows_up.data_ptr<float>(),
                      drows.numel());
  return drows;
}

at::Tensor MoeBlock::BackwardCombine(const float* dy_TH, int64_t t, const Kept& kept,
                                     float* dweights_TK) const {
  const int64_t k = router_options_.num_experts_per_tok;
  const int64_t h = kept.outputs.size(1);
  at::Tensor drows = NewActivation({t * k, h});
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
  kept->inv_rms = NewActivation({t});
  const at::Tensor normed = NewActivation({t, h});
  const float* normed_TH = normed.data_ptr<float>();
  if (t > 0) {
    norm_.Forward(x_TH.data_ptr<float>(), t, normed.data_ptr<float>(),
                  kept->inv_rms.data_ptr<float>());
  }
  Route(normed_TH, t, kept.get());

  at::Tensor rows = NewActivation({t * k, h});
  if (t > 0) {
    kernels::GatherRows(workspace_.pool, normed_TH, kept->order.token_of.data(), t * k, h,
                        rows.data_ptr<float>());
  }
  if (exchange_ == nullptr) {
    kept->outputs = ForwardExperts(rows, kept->order.offsets, kept.get());
  } else {
    PONDER_ASSIGN_OR_RETURN(kept->route, exchange_->Plan(kept->order.offsets));
    PONDER_ASSIGN_OR_RETURN(kept->exchanged_rows, exchange_->ToOwners(kept->route, rows));
    const at::Tensor out = ForwardExperts(kept->exchanged_rows, kept->route.offsets, kept.get());
    PONDER_ASSIGN_OR_RETURN(kept->outputs, exchange_->ToSenders(kept->route, out));
  }

  at::Tensor y = NewActivation({t, h});
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
  const at::Tensor normed = NewActivation({t, h});
  float* normed_TH = normed.data_ptr<float>();
  if (t > 0) norm_.Forward(kept.x.data_ptr<float>(), t, normed_TH, nullptr);

  const at::Tensor dweights = NewActivation({t, k});
  at::Tensor drows = BackwardCombine(dy, t, kept, dweights.data_ptr<float>());
  if (exchange_ == nullptr) {
    const at::Tensor rows = NewActivation({t * k, h});
    if (t > 0) {
      kernels::GatherRows(workspace_.pool, normed_TH, kept.order.token_of.data(), t * k, h,
                          rows.data_ptr<float>());
    }
    drows = BackwardExperts(drows, rows, kept.order.offsets, kept);
  } else {
    PONDER_ASSIGN_OR_RETURN(const at::Tensor dout, exchange_->ToOwners(kept.route, drows));
    const at::Tensor downed = BackwardExperts(dout, kept.exchanged_rows, kept.route.offsets, kept);
    PONDER_ASSIGN_OR_RETURN(drows, exchange_->ToSenders(kept.route, downed));
  }
  at::Tensor dx = NewActivation({t, h});
  if (t == 0) return dx;

  const at::Tensor dnormed = NewActivation({t, h});
  float* dnormed_TH = dnormed.data_ptr<float>();
  const std::vector<float> ones(t * k, 1.0f);
  kernels::CombineRows(workspace_.pool, drows.data_ptr<float>(), kept.order.row_of.data(),
                       ones.data(), t, k, h, dnormed_TH);
  const at::Tensor dlogits = NewActivation({t, e});
  kernels::RouterBackward(workspace_.pool, router_options_, kept.logits.data_ptr<float>(), t,
                          kept.experts.data(), dweights.data_ptr<float>(),
                          dlogits.data_ptr<float>());
  router_.BackwardInput(dlogits.data_ptr<float>(), t, dnormed_TH, /*accumulate=*/true);
  router_.BackwardWeight(dlogits.data_ptr<float>(), workspace_.PackActivations(normed_TH, h, t, h));
  if (shared_) shared_->Backward(dy, normed_TH, t, kept.shared, dnormed_TH);

  norm_.Backward(dnormed_TH, kept.x.data_ptr<float>(), kept.inv_rms.data_ptr<float>(), t,
                 dx.data_ptr<float>());
  kernels::AddInPlace(workspace_.pool, dx.data_ptr<float>(), dy, t * h);
  return dx;
}

}  // namespace ponder::moe

// See latent_attention_block.h.
#include "moe/layers/latent_attention_block.h"

#include <ATen/ATen.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "moe/kernels/elementwise.h"
#include "moe/layers/packed_attention.h"

namespace ponder::moe {
namespace {

float* Data(const at::Tensor& tensor) { return tensor.data_ptr<float>(); }

std::string Attn(int64_t layer) { return absl::StrCat("model.layers.", layer, ".self_attn."); }

// The rows [first, first + count) of a projection whose `parts` are used apart.
Linear Part(Workspace& workspace, const ParameterStore& parameters, const std::string& prefix,
            int64_t first, int64_t count) {
  std::optional<ParameterView> bias;
  if (parameters.Has(prefix + ".bias")) {
    bias = parameters.View(prefix + ".bias").Rows(first, count);
  }
  return Linear(workspace, parameters.View(prefix + ".weight").Rows(first, count), bias);
}

}  // namespace

struct LatentAttentionBlock::Kept : Block::Saved {
  at::Tensor x;             // [T, H]
  at::Tensor inv_rms;       // [T]
  at::Tensor q_a, q_a_inv;  // with q_lora_rank: [T, q_lora_rank] before its norm, [T]
  at::Tensor q;             // [T, NH * (N + P)]
  at::Tensor c, c_inv;      // [T, C] before its norm, [T]
  at::Tensor key;           // [T, C + P]
  at::Tensor gathered;      // [T, NH * C]
  at::Tensor lse;           // [T, NH]
};

LatentAttentionBlock::LatentAttentionBlock(const ModelConfig& config, int64_t layer,
                                           const ParameterStore& parameters,
                                           const RotaryTables& rotary, Workspace& workspace)
    : workspace_(workspace),
      rotary_(rotary),
      interleave_(config.rope_interleave),
      shape_(config),
      attention_(config.attention_shape()),
      norm_(workspace,
            parameters.View(absl::StrCat("model.layers.", layer, ".input_layernorm.weight")),
            config.norm_eps()),
      q_(workspace, parameters, Attn(layer) + (config.q_lora_rank > 0 ? "q_b_proj" : "q_proj")),
      c_(Part(workspace, parameters, Attn(layer) + "kv_a_proj_with_mqa", 0, config.kv_lora_rank)),
      rope_key_(Part(workspace, parameters, Attn(layer) + "kv_a_proj_with_mqa", config.kv_lora_rank,
                     config.qk_rope_head_dim)),
      c_norm_(workspace, parameters.View(Attn(layer) + "kv_a_layernorm.weight"),
              ModelConfig::kLatentNormEps),
      o_(workspace, parameters, Attn(layer) + "o_proj"),
      heads_(config.num_attention_heads) {
  if (config.q_lora_rank > 0) {
    q_a_.emplace(workspace, parameters, Attn(layer) + "q_a_proj");
    q_a_norm_.emplace(workspace, parameters.View(Attn(layer) + "q_a_layernorm.weight"),
                      ModelConfig::kLatentNormEps);
  }
  const ParameterView kv_b = parameters.View(Attn(layer) + "kv_b_proj.weight");
  int64_t row = 0;
  for (Head& head : heads_) {
    head.key = kv_b.Rows(row, shape_.nope);
    head.value = kv_b.Rows(row + shape_.nope, shape_.value);
    row += shape_.nope + shape_.value;
    up_keys_.push_back(&head.up_key);
    up_values_.push_back(&head.up_value);
  }
}

void LatentAttentionBlock::Pack() {
  if (q_a_) q_a_->Pack();
  for (Linear* linear : {&q_, &c_, &rope_key_, &o_}) linear->Pack();
  kernels::ThreadPool& pool = workspace_.pool;
  const int64_t c = shape_.rank;
  for (Head& head : heads_) {
    head.up_key.Pack(pool, head.key.weight, shape_.nope, c, c, 1);
    head.up_key_transposed.Pack(pool, head.key.weight, c, shape_.nope, 1, c);
    head.up_value.Pack(pool, head.value.weight, c, shape_.value, 1, c);
    head.up_value_transposed.Pack(pool, head.value.weight, shape_.value, c, c, 1);
  }
}

Rotation LatentAttentionBlock::RotationOf(const Batch& batch) const {
  return {batch.positions.data(), rotary_.cos.data(), rotary_.sin.data(), interleave_};
}

void LatentAttentionBlock::ProjectQueries(const float* normed, int64_t t, Kept* kept) const {
  kept->q = New(t, q_.out());
  if (!q_a_) {
    q_.Forward(normed, t, Data(kept->q), q_.out());
    return;
  }
  kept->q_a = New(t, q_a_->out());
  kept->q_a_inv = workspace_.activations.New({t});
  q_a_->Forward(normed, t, Data(kept->q_a), q_a_->out());
  const at::Tensor q_a_normed = New(t, q_a_->out());
  q_a_norm_->Forward(Data(kept->q_a), t, Data(q_a_normed), Data(kept->q_a_inv));
  q_.Forward(Data(q_a_normed), t, Data(kept->q), q_.out());
}

absl::StatusOr<at::Tensor> LatentAttentionBlock::Forward(const Batch& batch, const at::Tensor& x_TH,
                                                         std::unique_ptr<Saved>* saved) {
  const int64_t t = batch.size();
  const int64_t h = x_TH.size(1);
  auto kept = std::make_unique<Kept>();
  kept->x = x_TH;
  at::Tensor y = New(t, h);  // first the normed input, then the result
  if (t > 0) {
    kept->inv_rms = workspace_.activations.New({t});
    norm_.Forward(Data(x_TH), t, Data(y), Data(kept->inv_rms));
    ProjectQueries(Data(y), t, kept.get());
    const at::Tensor q_latent = New(t, shape_.heads * shape_.key());
    AbsorbQueries(workspace_.pool, shape_, RotationOf(batch), Data(kept->q), t, up_keys_,
                  Data(q_latent));
    kept->c = New(t, shape_.rank);
    kept->c_inv = workspace_.activations.New({t});
    c_.Forward(Data(y), t, Data(kept->c), shape_.rank);
    const at::Tensor c_normed = New(t, shape_.rank);
    c_norm_.Forward(Data(kept->c), t, Data(c_normed), Data(kept->c_inv));
    const at::Tensor rope_key = New(t, shape_.rope);
    rope_key_.Forward(Data(y), t, Data(rope_key), shape_.rope);
    kept->key = New(t, shape_.key());
    LatentKeys(workspace_.pool, shape_, RotationOf(batch), Data(c_normed), Data(rope_key), t,
               Data(kept->key));
    kept->gathered = New(t, shape_.heads * shape_.rank);
    kept->lse = New(t, shape_.heads);
    AttendPacked(workspace_, attention_, batch, Data(q_latent), Data(kept->key), Data(kept->key),
                 shape_.key(), Data(kept->gathered), Data(kept->lse));
    const at::Tensor values = New(t, shape_.heads * shape_.value);
    ExpandValues(workspace_.pool, shape_, Data(kept->gathered), t, up_values_, Data(values));
    o_.Forward(Data(values), t, Data(y), h);
    kernels::AddInPlace(workspace_.pool, Data(y), Data(x_TH), t * h);
  }
  if (saved != nullptr) *saved = std::move(kept);
  return y;
}

at::Tensor LatentAttentionBlock::BackwardValues(const at::Tensor& dvalues,
                                                const at::Tensor& gathered) const {
  const int64_t t = gathered.size(0);
  const int64_t stride = dvalues.size(1);
  at::Tensor dgathered = New(t, gathered.size(1));
  for (size_t i = 0; i < heads_.size(); ++i) {
    const int64_t at = static_cast<int64_t>(i) * shape_.rank;
    const float* dvalue = Data(dvalues) + static_cast<int64_t>(i) * shape_.value;
    kernels::Gemm(workspace_.pool, dvalue, stride, 1, t, heads_[i].up_value_transposed,
                  Data(dgathered) + at, gathered.size(1));
    AddMatrixGradient(workspace_, heads_[i].value, dvalue, stride, Data(gathered) + at,
                      gathered.size(1), t);
  }
  return dgathered;
}

at::Tensor LatentAttentionBlock::BackwardQueries(const at::Tensor& dq_latent,
                                                 const at::Tensor& q) const {
  const int64_t t = q.size(0);
  const int64_t stride = dq_latent.size(1);
  at::Tensor dq = New(t, q.size(1));
  for (size_t i = 0; i < heads_.size(); ++i) {
    const float* from = Data(dq_latent) + static_cast<int64_t>(i) * shape_.key();
    const int64_t at = static_cast<int64_t>(i) * shape_.query();
    kernels::Gemm(workspace_.pool, from, stride, 1, t, heads_[i].up_key_transposed, Data(dq) + at,
                  q.size(1));
    CopyRows(from + shape_.rank, stride, t, shape_.rope, Data(dq) + at + shape_.nope, q.size(1));
    AddMatrixGradient(workspace_, heads_[i].key, Data(q) + at, q.size(1), from, stride, t);
  }
  return dq;
}

absl::StatusOr<at::Tensor> LatentAttentionBlock::Backward(const Batch& batch,
                                                          const at::Tensor& dy_TH,
                                                          const Saved& saved) {
  const auto& kept = static_cast<const Kept&>(saved);
  const int64_t t = batch.size();
  const int64_t h = dy_TH.size(1);
  at::Tensor dx = New(t, h);
  if (t == 0) return dx;
  const float* dy = Data(dy_TH);
  kernels::ThreadPool& pool = workspace_.pool;

  const at::Tensor values = New(t, shape_.heads * shape_.value);
  ExpandValues(pool, shape_, Data(kept.gathered), t, up_values_, Data(values));
  AddWeightGradients(workspace_, Data(values), t, {{&o_, dy}});
  o_.BackwardInput(dy, t, Data(values), /*accumulate=*/false);  // the values are used up
  const at::Tensor dgathered = BackwardValues(values, kept.gathered);

  const at::Tensor q_latent = New(t, shape_.heads * shape_.key());
  AbsorbQueries(pool, shape_, RotationOf(batch), Data(kept.q), t, up_keys_, Data(q_latent));
  const at::Tensor dq_latent = New(t, q_latent.size(1));
  const at::Tensor dkey = New(t, shape_.key());
  const at::Tensor dvalue = New(t, shape_.key());  // only the first C of a row
  kernels::AttentionBackward(pool, attention_, batch.starts, Data(q_latent), Data(kept.key),
                             Data(kept.key), q_latent.size(1), shape_.key(), Data(kept.gathered),
                             Data(kept.lse), Data(dgathered), Data(dq_latent), Data(dkey),
                             Data(dvalue), q_latent.size(1), shape_.key());
  RotateHeads(pool, RotationOf(batch), Data(dq_latent) + shape_.rank, q_latent.size(1), t,
              shape_.heads, shape_.key(), shape_.rope, /*inverse=*/true);
  RotateHeads(pool, RotationOf(batch), Data(dkey) + shape_.rank, shape_.key(), t, /*heads=*/1,
              shape_.key(), shape_.rope, /*inverse=*/true);
  const at::Tensor dq = BackwardQueries(dq_latent, kept.q);

  // c_KV is key and value.
  const at::Tensor dc_normed = New(t, shape_.rank);
  const at::Tensor dc_value = New(t, shape_.rank);
  CopyRows(Data(dkey), shape_.key(), t, shape_.rank, Data(dc_normed), shape_.rank);
  CopyRows(Data(dvalue), shape_.key(), t, shape_.rank, Data(dc_value), shape_.rank);
  kernels::AddInPlace(pool, Data(dc_normed), Data(dc_value), t * shape_.rank);
  const at::Tensor drope = New(t, shape_.rope);
  CopyRows(Data(dkey) + shape_.rank, shape_.key(), t, shape_.rope, Data(drope), shape_.rope);
  const at::Tensor dc = New(t, shape_.rank);
  c_norm_.Backward(Data(dc_normed), Data(kept.c), Data(kept.c_inv), t, Data(dc));

  at::Tensor dq_in = dq;  // of the projection that reads the normed input
  if (q_a_) {
    const at::Tensor q_a_normed = New(t, q_a_->out());
    q_a_norm_->Forward(Data(kept.q_a), t, Data(q_a_normed), nullptr);
    AddWeightGradients(workspace_, Data(q_a_normed), t, {{&q_, Data(dq)}});
    q_.BackwardInput(Data(dq), t, Data(q_a_normed), /*accumulate=*/false);  // used up
    dq_in = New(t, q_a_->out());
    q_a_norm_->Backward(Data(q_a_normed), Data(kept.q_a), Data(kept.q_a_inv), t, Data(dq_in));
  }
  const Linear& q_in = q_a_ ? *q_a_ : q_;
  const at::Tensor normed = New(t, h);
  norm_.Forward(Data(kept.x), t, Data(normed), nullptr);
  AddWeightGradients(workspace_, Data(normed), t,
                     {{&q_in, Data(dq_in)}, {&c_, Data(dc)}, {&rope_key_, Data(drope)}});
  float* dnormed = Data(normed);  // the normed input is used up
  q_in.BackwardInput(Data(dq_in), t, dnormed, /*accumulate=*/false);
  c_.BackwardInput(Data(dc), t, dnormed, /*accumulate=*/true);
  rope_key_.BackwardInput(Data(drope), t, dnormed, /*accumulate=*/true);
  norm_.Backward(dnormed, Data(kept.x), Data(kept.inv_rms), t, Data(dx));
  kernels::AddInPlace(pool, Data(dx), dy, t * h);
  return dx;
}

}  // namespace ponder::moe

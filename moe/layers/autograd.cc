// See autograd.h.
#include "moe/layers/autograd.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace ponder::moe {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What a function keeps for its backward, as a value that an AutogradContext can hold.
template <typename T>
struct Capsule : torch::CustomClassHolder {
  explicit Capsule(T value) : value(std::move(value)) {}
  T value;
};

constexpr char kKept[] = "kept";

template <typename T>
void Keep(AutogradContext* ctx, T value) {
  ctx->saved_data[kKept] =
      at::IValue::make_capsule(c10::make_intrusive<Capsule<T>>(std::move(value)));
}

// Moves it out, so that its memory is freed as the backward pass goes.
template <typename T>
T Take(AutogradContext* ctx) {
  const auto kept = ctx->saved_data.find(kKept);
  TORCH_CHECK(kept != ctx->saved_data.end(), "backward was already run through this graph");
  const auto capsule = kept->second.toCapsule();
  ctx->saved_data.erase(kept);
  return std::move(static_cast<Capsule<T>*>(capsule.get())->value);
}

struct EmbeddingKept {
  const Embedding* embedding;
  std::shared_ptr<const Batch> batch;
};

struct EmbeddingFunction : torch::autograd::Function<EmbeddingFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& leaf, EmbeddingKept kept) {
    at::Tensor x = kept.embedding->Forward(kept.batch->tokens);
    Keep(ctx, std::move(kept));
    return x;
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto kept = Take<EmbeddingKept>(ctx);
    kept.embedding->Backward(kept.batch->tokens, gradients[0].contiguous());
    return {at::Tensor(), at::Tensor()};
  }
};

struct BlockKept {
  Block* block;
  std::shared_ptr<const Batch> batch;
  std::unique_ptr<Block::Saved> saved;
};

struct BlockFunction : torch::autograd::Function<BlockFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_TH, Block* block,
                            std::shared_ptr<const Batch> batch, bool training) {
    std::unique_ptr<Block::Saved> saved;
    absl::StatusOr<at::Tensor> y =
        block->Forward(*batch, x_TH.detach(), training ? &saved : nullptr);
    if (!y.ok()) throw StatusError(y.status());
    if (training) Keep(ctx, BlockKept{block, std::move(batch), std::move(saved)});
    return *std::move(y);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto kept = Take<BlockKept>(ctx);
    absl::StatusOr<at::Tensor> dx =
        kept.block->Backward(*kept.batch, gradients[0].contiguous(), *kept.saved);
    if (!dx.ok()) throw StatusError(dx.status());
    return {*std::move(dx), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

struct LmHeadKept {
  const LmHead* head;
  LmHead::Query query;
  at::Tensor x;  // [T, H]
  TokenStats stats;
};

// As the layers read it; undefined stays undefined.
at::Tensor Contiguous(const at::Tensor& gradient) {
  return gradient.defined() ? gradient.contiguous() : gradient;
}

struct LmHeadFunction : torch::autograd::Function<LmHeadFunction> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x_TH, const LmHead* head,
                               LmHead::Query query) {
    at::Tensor x = x_TH.detach();
    TokenStats stats = head->Forward(x, query);
    ctx->set_materialize_grads(false);
    Keep(ctx, LmHeadKept{head,
                         std::move(query),
                         std::move(x),
                         {stats.logprob.detach(), stats.entropy.detach(), stats.log_z.detach(),
                          at::Tensor()}});
    return {stats.logprob, stats.entropy, stats.log_z};
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto kept = Take<LmHeadKept>(ctx);
    return {kept.head->Backward(
                {Contiguous(gradients[0]), Contiguous(gradients[1]), Contiguous(gradients[2])},
                kept.x, kept.stats, kept.query),
            at::Tensor(), at::Tensor()};
  }
};

// A layer that reads chosen rows: RowNorm or ValueHead.
template <typename Layer>
struct RowsFunction : torch::autograd::Function<RowsFunction<Layer>> {
  struct Kept {
    const Layer* layer;
    std::vector<int32_t> rows;
    at::Tensor x;  // [T, H]
  };
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_TH, const Layer* layer,
                            std::vector<int32_t> rows) {
    at::Tensor x = x_TH.detach();
    at::Tensor y = layer->Forward(x, rows);
    Keep(ctx, Kept{layer, std::move(rows), std::move(x)});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto kept = Take<Kept>(ctx);
    return {kept.layer->Backward(gradients[0].contiguous(), kept.x, kept.rows), at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor ApplyEmbedding(const Embedding& embedding, std::shared_ptr<const Batch> batch,
                          const at::Tensor& leaf) {
  return EmbeddingFunction::apply(leaf, EmbeddingKept{&embedding, std::move(batch)});
}

at::Tensor ApplyBlock(Block& block, std::shared_ptr<const Batch> batch, const at::Tensor& x_TH) {
  return BlockFunction::apply(x_TH, &block, std::move(batch), at::GradMode::is_enabled());
}

TokenStats ApplyLmHead(const LmHead& head, LmHead::Query query, const at::Tensor& x_TH) {
  variable_list out = LmHeadFunction::apply(x_TH, &head, std::move(query));
  return {out[0], out[1], out[2], at::Tensor()};
}

at::Tensor ApplyValueHead(const ValueHead& head, std::vector<int32_t> rows,
                          const at::Tensor& x_TH) {
  return RowsFunction<ValueHead>::apply(x_TH, &head, std::move(rows));
}

at::Tensor ApplyRowNorm(const RowNorm& norm, std::vector<int32_t> rows, const at::Tensor& x_TH) {
  return RowsFunction<RowNorm>::apply(x_TH, &norm, std::move(rows));
}

}  // namespace ponder::moe

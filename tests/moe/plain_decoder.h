// PlainDecoder: the decoder in plain LibTorch operations with LibTorch's own autograd: the
// reference, in float64, and what bench_train_step compares with, in float32.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "moe/decoder.h"
#include "moe/model_config.h"
#include "moe/weights.h"

namespace ponder::moe {

class PlainDecoder {
 public:
  PlainDecoder(const ModelConfig& config, const Weights& weights,
               at::ScalarType dtype = at::kDouble);

  // Leaves, by name; their grad() is filled by LibTorch.
  const std::map<std::string, at::Tensor>& parameters() const { return parameters_; }
  // Logits [T, V]; [T, 1] with a scalar head.
  at::Tensor Forward(const PackedBatch& batch) const;

  // What the router of a layer made of one sequence; differentiable.
  struct Routed {
    int64_t layer = 0;
    at::Tensor logits, scores;  // [L, E]
    at::Tensor chosen;          // [L, K]
  };
  // Of the last Forward, by sequence, then by layer.
  const std::vector<Routed>& routed() const { return routed_; }
  // From now on the experts of each sequence and layer, [L, K] in that order; where they are
  // negative the router chooses.
  void Force(std::vector<at::Tensor> chosen) { forced_ = std::move(chosen); }

 private:
  at::Tensor Attention(int64_t layer, const at::Tensor& x_LH) const;
  at::Tensor LatentAttention(const std::string& prefix, const at::Tensor& x_LH) const;
  at::Tensor Linear(const std::string& prefix, const at::Tensor& x) const;
  at::Tensor Choose(const std::string& prefix, const at::Tensor& scores_TE) const;
  at::Tensor Mlp(const std::string& prefix, const at::Tensor& x_TH) const;
  at::Tensor Experts(int64_t layer, const at::Tensor& x_TH) const;
  const at::Tensor& At(const std::string& name) const { return parameters_.at(name); }

  ModelConfig config_;
  std::map<std::string, at::Tensor> parameters_;
  mutable std::vector<Routed> routed_;
  std::vector<at::Tensor> forced_;
};

}  // namespace ponder::moe

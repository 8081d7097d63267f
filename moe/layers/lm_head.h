// LmHead: final norm, logits and their log-softmax, of chosen rows, in chunks: [T, V] never exists.
#pragma once

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/types/span.h"
#include "moe/decoder.h"
#include "moe/layers/linear.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/rms_norm.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

class LmHead {
 public:
  // What is scored.
  struct Query {
    std::vector<int32_t> rows;     // [N] of x
    std::vector<int32_t> targets;  // [N]
    float temperature = 1;
  };

  // With tied embeddings `head` is the embedding table.
  LmHead(ParameterView norm, float eps, ParameterView head, Workspace& workspace);

  void Pack() { head_.Pack(); }
  TokenStats Forward(const at::Tensor& x_TH, const Query& query) const;
  // The loss's derivatives by what Forward gave, [N] each; an undefined one is zero.
  struct Gradients {
    at::Tensor logprob, entropy, log_z;
  };
  // dx [T, H]; computes the logits again. `stats` are Forward's.
  at::Tensor Backward(const Gradients& gradients, const at::Tensor& x_TH, const TokenStats& stats,
                      const Query& query) const;

 private:
  int64_t ChunkRows() const;
  // Adds to dlogits [rows, V] what comes through entropy and log_z of the rows from `first` on.
  void AddSpreadGradient(const Gradients& gradients, const TokenStats& stats, int64_t first,
                         const float* logits, int64_t rows, float temperature,
                         float* dlogits) const;

  Workspace& workspace_;
  RmsNorm norm_;
  Linear head_;
};

}  // namespace ponder::moe

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
  // dx [T, H] from dlogprob [N]; computes the logits again.
  at::Tensor Backward(const at::Tensor& dlogprob_N, const at::Tensor& x_TH,
                      const at::Tensor& log_z_N, const Query& query) const;

 private:
  int64_t ChunkRows() const;

  Workspace& workspace_;
  RmsNorm norm_;
  Linear head_;
};

}  // namespace ponder::moe

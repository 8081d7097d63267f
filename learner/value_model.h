// ValueModel: a decoder with a scalar head that predicts the return from before each response
// token, and its updates. A machine; every rank has one and calls it in the same order.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "learner/forward.h"
#include "learner/gradient_step.h"
#include "learner/mesh.h"
#include "learner/policy_batch.h"
#include "moe/checkpoint.h"
#include "moe/decoder.h"

namespace ponder::learner {

// The same backbone with a scalar head of zeros: what a value or reward model starts from.
absl::StatusOr<moe::Model> WithScalarHead(const moe::Model& policy);

// sum_t w max((V_t - R_t)^2, (clip(V_t, old_t - clip, old_t + clip) - R_t)^2) / 2, w = 1 / tokens,
// of the pack's tokens; clip 0: the first term alone (PPO, arXiv 1707.06347). Writes the gradient
// by V.
double ValueLoss(absl::Span<const float> values, absl::Span<const float> old,
                 absl::Span<const float> returns, double clip, double tokens,
                 absl::Span<float> gradient);

class ValueModel {
 public:
  struct Options {
    GradientStep::Options step;
    int64_t max_tokens_per_microbatch = 16384;
    double clip = 0;
  };
  struct Report {
    double loss = 0;
    double grad_norm = 0;
  };
  // `decoder`, whose config has a scalar head, and `mesh` outlive it.
  ValueModel(const Options& options, moe::Decoder& decoder, const Mesh& mesh)
      : options_(options), decoder_(decoder), mesh_(mesh), step_(options.step, decoder, mesh) {}

  // The value before each response token.
  absl::StatusOr<std::vector<float>> Predict(const PolicyBatch& batch);
  // One update towards batch.returns of the sequences `chosen`, all of them, masked ones too.
  absl::StatusOr<Report> Update(const PolicyBatch& batch, absl::Span<const int64_t> chosen,
                                double lr);

  moe::Decoder& decoder() { return decoder_; }
  AdamW& optimizer() { return step_.optimizer(); }

 private:
  const Options options_;
  moe::Decoder& decoder_;
  const Mesh& mesh_;
  GradientStep step_;
};

}  // namespace ponder::learner

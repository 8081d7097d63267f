// SharedValue: the value model with the policy's trunk: a scalar head on the policy's own last
// hidden state. The head learns from
//
//   coef * value loss (ValueLoss in learner/value_model.h)
//
// beside the policy's objective, in the same backward pass, which goes on into the trunk; in value
// pre-training it learns alone and the trunk stands still. It has an optimizer and a bound on its
// gradient of its own. A machine; every rank has one and calls it in the same order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "learner/adamw.h"
#include "learner/gradient_step.h"
#include "learner/mesh.h"
#include "learner/policy_batch.h"
#include "learner/value_model.h"
#include "moe/checked_folder.h"
#include "moe/decoder.h"

namespace ponder::learner {

class SharedValue {
 public:
  struct Options {
    GradientStep::Options step;
    int64_t max_tokens_per_microbatch = 16384;
    double clip = 0;
    double coef = 0.5;
    bool replay = false;  // the batch's routing, as the policy's own passes
  };
  // A head of zeros. `decoder`, the policy's, and `mesh` outlive it.
  SharedValue(const Options& options, moe::Decoder& decoder, const Mesh& mesh);

  // The value before each response token. Collective.
  absl::StatusOr<std::vector<float>> Predict(const PolicyBatch& batch);
  // One update of the head alone towards batch.returns of the sequences `chosen`. Collective.
  absl::StatusOr<ValueModel::Report> UpdateHead(const PolicyBatch& batch,
                                                absl::Span<const int64_t> chosen, double lr);

  // --- for an update of the policy: Begin, Loss for each micro-batch, Sum, Apply ---
  // `chosen`: all that the update trains on, on every rank.
  void Begin(const PolicyBatch& batch, absl::Span<const int64_t> chosen);
  // What to add to the policy's loss, a function of `hidden` [N, H] of the pack's rows and of the
  // head.
  at::Tensor Loss(const PolicyBatch& batch, const SequencePack& pack, const at::Tensor& hidden);
  // Sums the gradient and the loss over ranks. Then Apply, which steps. Collective.
  absl::StatusOr<ValueModel::Report> Sum();
  absl::Status Apply(const ValueModel::Report& report, double lr);

  AdamW& optimizer() { return optimizer_; }
  // Head and moments, for a checkpoint.
  moe::FolderFile File();
  absl::Status Load(const std::string& folder, const std::string& file);

 private:
  // The value loss of a pack's tokens, by which `gradient` is the slope.
  double PackLoss(const PolicyBatch& batch, const SequencePack& pack,
                  absl::Span<const float> values, std::vector<float>* gradient) const;

  const Options options_;
  moe::Decoder& decoder_;
  const Mesh& mesh_;
  const moe::Parameter head_;  // [1, H]
  AdamW optimizer_;
  double tokens_ = 0;  // of the update in progress
  double loss_ = 0;
};

}  // namespace ponder::learner

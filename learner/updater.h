// Updater: one optimizer update of the policy from a batch: forward, objective, backward, and the
// gradient step. A machine; every rank has one and calls it with the same arguments in the same
// order.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "learner/gradient_step.h"
#include "learner/mesh.h"
#include "learner/objective.h"
#include "learner/policy_batch.h"
#include "learner/router_balance.h"
#include "learner/shared_value.h"
#include "moe/decoder.h"

namespace ponder::learner {

class Updater {
 public:
  struct Options {
    GradientStep::Options step;
    int64_t max_tokens_per_microbatch = 16384;
    double temperature = 1;  // of the policy, as at sampling
    ObjectiveOptions objective;
    RouterBalance router;
  };
  // What one update did, summed over ranks: the same on each.
  struct Report {
    PolicyStats stats;
    double grad_norm = 0;     // before clipping
    int64_t tokens = 0;       // fed forward, prompts included
    moe::RouterStats router;  // its losses are not in stats.loss
    ValueModel::Report value;  // of a shared value head; its loss is not in stats.loss

    // Sums over a step's updates; the gap and the gradient norms by maximum, the router's statistics
    // of the last.
    void Add(const Report& other);
  };

  // `decoder` and `mesh` outlive it.
  Updater(const Options& options, moe::Decoder& decoder, const Mesh& mesh);

  // One policy update from the sequences `chosen`, whose advantages are filled in. Tokens sampled
  // under `version`, the weights now in the decoder, are on-policy: the gap between their two
  // log-probs is reported. At least one of `chosen` must be included.
  // With a shared value head that learns too, by `value_lr`.
  absl::StatusOr<Report> PolicyUpdate(const PolicyBatch& batch, absl::Span<const int64_t> chosen,
                                      int64_t version, double lr, double value_lr = 0);
  // One supervised update: mean NLL of the response tokens.
  absl::StatusOr<Report> SupervisedUpdate(const PolicyBatch& batch, double lr);

  // From now on policy updates train this head on the decoder's trunk too; it outlives the updater.
  void UseSharedValue(SharedValue* value) { value_ = value; }
  // For updates by another objective than these.
  GradientStep& gradient_step() { return step_; }
  AdamW& optimizer() { return step_.optimizer(); }
  const Options& options() const { return options_; }

 private:
  enum class Kind { kPolicy, kSupervised };
  absl::StatusOr<Report> Update(Kind kind, const PolicyBatch& batch,
                                absl::Span<const int64_t> chosen, int64_t version, double lr,
                                double value_lr);
  // Forward and backward of one micro-batch; gradients add up in the parameters.
  absl::Status Accumulate(Kind kind, const PolicyBatch& batch, absl::Span<const int64_t> sequences,
                          int64_t version, const Denominators& denominators, Report* report);
  // Tells the decoder what its routers' losses are; by batch that takes a forward pass.
  absl::Status SetRouterLoss(const PolicyBatch& batch, absl::Span<const int64_t> chosen,
                             const MicroBatches& share);
  absl::Status SumReport(Report* report);
  absl::Status SumRouter(moe::RouterStats* router);

  const Options options_;
  moe::Decoder& decoder_;
  const Mesh& mesh_;
  GradientStep step_;
  SharedValue* value_ = nullptr;
};

}  // namespace ponder::learner

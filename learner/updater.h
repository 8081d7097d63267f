// Updater: one optimizer update from a batch: forward, loss, backward, sum of gradients over ranks,
// clip, AdamW. A machine; every rank has one and calls it with the same arguments in the same
// order.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "learner/adamw.h"
#include "learner/mesh.h"
#include "learner/objective.h"
#include "learner/policy_batch.h"
#include "moe/decoder.h"

namespace ponder::learner {

class Updater {
 public:
  struct Options {
    AdamW::Options adamw;
    double max_grad_norm = 1;  // of the gradient over all parameters
    int64_t max_tokens_per_microbatch = 16384;
    double temperature = 1;  // of the policy, as at sampling
    PolicyLossOptions policy_loss;
  };
  // What one update did, summed over ranks: the same on each.
  struct Report {
    PolicyStats stats;
    double grad_norm = 0;     // before clipping
    int64_t tokens = 0;       // fed forward, prompts included
    moe::RouterStats router;  // of this rank alone

    // Sums over a step's updates; the gap and the gradient norm by maximum, the router's statistics
    // of the last.
    void Add(const Report& other);
  };

  // `decoder` and `mesh` outlive it.
  Updater(const Options& options, moe::Decoder& decoder, const Mesh& mesh);

  // One DAPO update from the sequences `chosen`. Tokens sampled under `version`, the weights now in
  // the decoder, are on-policy: the gap between their two log-probs is reported. `chosen` must not
  // be empty.
  absl::StatusOr<Report> PolicyUpdate(const PolicyBatch& batch, absl::Span<const int64_t> chosen,
                                      int64_t version, double lr);
  // One supervised update: mean NLL of the response tokens.
  absl::StatusOr<Report> SupervisedUpdate(const PolicyBatch& batch, double lr);

  AdamW& optimizer() { return optimizer_; }

 private:
  enum class Objective { kPolicy, kSupervised };
  absl::StatusOr<Report> Update(Objective objective, const PolicyBatch& batch,
                                absl::Span<const int64_t> chosen, int64_t version, double lr);
  // Forward and backward of one micro-batch; gradients add up in the parameters.
  absl::Status Accumulate(Objective objective, const PolicyBatch& batch,
                          absl::Span<const int64_t> sequences, int64_t version, double denominator,
                          Report* report);
  absl::Status SumGradients();
  absl::StatusOr<double> GradNorm();
  absl::Status SumReport(Report* report);

  const Options options_;
  moe::Decoder& decoder_;
  const Mesh& mesh_;
  AdamW optimizer_;
};

}  // namespace ponder::learner

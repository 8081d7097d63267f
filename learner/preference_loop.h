// PreferenceLoop: learning from pairs of responses, one chosen over the other: DPO, or a
// Bradley-Terry reward model. A machine; one a rank, all in step. The order of the pairs is a pure
// function of the seed, so that resuming goes on with the batch that was next.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/metrics.h"
#include "learner/checkpoint.h"
#include "learner/forward.h"
#include "learner/gradient_step.h"
#include "learner/mesh.h"
#include "learner/policy_batch.h"
#include "learner/prompt_order.h"
#include "moe/decoder.h"

namespace ponder::learner {

// A tokenised preference.
struct PreferencePair {
  std::vector<int32_t> prompt;
  std::vector<int32_t> chosen;
  std::vector<int32_t> rejected;
  double margin = 0;
};

// -log sigmoid(difference), and its slope.
double PreferenceLoss(double difference, double* slope);

class PreferenceLoop {
 public:
  struct Options {
    uint64_t seed = 1;
    int64_t steps = 200;
    int64_t batch_size = 32;  // pairs
    double lr = 1e-5;
    double min_lr = 1e-6;
    int64_t warmup_steps = 10;
    double beta = 0.1;  // of DPO
    int64_t max_tokens_per_microbatch = 16384;
    int64_t checkpoint_every = 100;
    std::string checkpoints;  // folder of checkpoints
    int64_t keep_checkpoints = 1;
    moe::Carried carried;  // with every checkpoint
  };

  // With a `reference`: DPO (arXiv 2305.18290), the difference being beta times how much more than
  // the reference the policy prefers the chosen response. Without (null): the decoder has a scalar
  // head and the difference is that of its outputs at the responses' last tokens
  // (LLaMA 2, 2307.09288). Less the pair's margin in both. All references outlive it; `pairs` is
  // not empty; `metrics` is null on ranks other than 0.
  PreferenceLoop(const Options& options, const TrainState& start,
                 const std::vector<PreferencePair>& pairs, moe::Decoder& decoder,
                 GradientStep& step, moe::Decoder* reference, const Mesh& mesh,
                 MetricsLog* metrics);

  // Until the last step (OK), Stop (Cancelled, after a checkpoint), or a failure.
  absl::Status Run();
  // On rank 0; async-signal-safe.
  void Stop() { stopping_ = true; }

  struct Report {
    double loss = 0;        // mean over pairs
    double accuracy = 0;    // share of pairs whose difference is positive
    double difference = 0;  // mean
    double grad_norm = 0;
    int64_t tokens = 0;  // fed forward
  };
  // One update from the next batch; the state moves on.
  absl::StatusOr<Report> Update(double lr);

 private:
  // Sequences 2i and 2i + 1 of the batch are the chosen and the rejected response of pair i.
  PolicyBatch NextBatch(std::vector<double>* margins);
  absl::Status Accumulate(const PolicyBatch& batch, absl::Span<const int64_t> pairs,
                          const std::vector<double>& margins, Report* report);
  absl::Status Save();

  const Options options_;
  TrainState state_;
  const std::vector<PreferencePair>& pairs_;
  moe::Decoder& decoder_;
  GradientStep& step_;
  moe::Decoder* const reference_;
  const Mesh& mesh_;
  MetricsLog* const metrics_;
  PromptOrder order_;
  std::atomic<bool> stopping_{false};
};

}  // namespace ponder::learner

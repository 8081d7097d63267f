// SftLoop: supervised fine-tuning on think-then-answer traces; loss on the response tokens only.
// A machine; one a rank, all in step. The order of the traces is a pure function of the seed, so
// that resuming goes on with the batch that was next.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/metrics.h"
#include "learner/checkpoint.h"
#include "learner/mesh.h"
#include "learner/updater.h"
#include "moe/decoder.h"

namespace ponder::learner {

// A tokenised trace.
struct Example {
  std::vector<int32_t> prompt;
  std::vector<int32_t> response;
};

class SftLoop {
 public:
  struct Options {
    uint64_t seed = 1;
    int64_t steps = 400;
    int64_t batch_size = 64;  // sequences
    double lr = 1e-3;
    double min_lr = 1e-4;
    int64_t warmup_steps = 20;
    double target_loss = 0;  // ends early after an update whose batch had no more; 0: never
    int64_t checkpoint_every = 100;
    std::string checkpoints;  // folder of checkpoints
    int64_t keep_checkpoints = 1;
    moe::Carried carried;  // with every checkpoint
  };

  // All references outlive it; `examples` is not empty; `metrics` is null on ranks other than 0.
  SftLoop(const Options& options, const TrainState& start, const std::vector<Example>& examples,
          moe::Decoder& decoder, Updater& updater, const Mesh& mesh, MetricsLog* metrics);

  // Until the last step or the target (OK), Stop (Cancelled, after a checkpoint), or a failure.
  absl::Status Run();
  // On rank 0; async-signal-safe.
  void Stop() { stopping_ = true; }

 private:
  absl::StatusOr<bool> AgreeToStop();
  PolicyBatch NextBatch();

  const Options options_;
  TrainState state_;
  const std::vector<Example>& examples_;
  moe::Decoder& decoder_;
  Updater& updater_;
  const Mesh& mesh_;
  MetricsLog* const metrics_;
  std::atomic<bool> stopping_{false};
  int64_t epoch_ = -1;  // whose order is in order_
  std::vector<int64_t> order_;
};

}  // namespace ponder::learner

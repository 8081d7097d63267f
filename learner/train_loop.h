// TrainLoop: the learner's page. take groups -> score -> pack -> train step -> publish weights -> retire slots.
// A machine; one a rank, all in step. Rank 0 owns the pool, the published weights, the log and the checkpoints.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/metrics.h"
#include "learner/checkpoint.h"
#include "learner/mesh.h"
#include "learner/sample_pool.h"
#include "learner/updater.h"
#include "learner/weight_store.h"
#include "moe/decoder.h"
#include "reward/reward.h"

namespace ponder::learner {

class TrainLoop {
 public:
  struct Options {
    uint64_t seed = 1;
    int64_t steps = 300;
    int64_t minibatches = 1;       // optimizer updates a rollout batch
    double lr = 1e-4;
    int64_t warmup_steps = 5;      // of optimizer updates
    reward::RewardOptions reward;
    int64_t checkpoint_every = 25;
    std::string checkpoints;       // folder of checkpoints
    int64_t keep_checkpoints = 2;
    absl::Duration take_timeout = absl::Minutes(10);  // for one step's samples
  };
  // What rank 0 has besides; null members on the other ranks.
  struct Services {
    SamplePool* pool = nullptr;
    WeightStore* weights = nullptr;
    MetricsLog* metrics = nullptr;
  };

  // All references outlive it. `start` is where the run begins: step and version 0, or what a checkpoint says.
  TrainLoop(const Options& options, const TrainState& start, moe::Decoder& decoder, Updater& updater, const Mesh& mesh,
            const Services& services);

  // Until the last step (OK), Stop (Cancelled, after a checkpoint), or a failure. Collective.
  absl::Status Run();
  // Ends Run after the step in progress. Rank 0; from any thread.
  void Stop();

 private:
  absl::Status Step(const SamplePool::Taken& taken, PolicyBatch batch, double wait_seconds);
  absl::StatusOr<Updater::Report> Train(const PolicyBatch& batch);
  absl::Status SaveCheckpoint();

  const Options options_;
  TrainState state_;
  moe::Decoder& decoder_;
  Updater& updater_;
  const Mesh& mesh_;
  const Services services_;
  std::atomic<bool> stopping_{false};
};

}  // namespace ponder::learner

// TrainLoop: the learner's page.
//
//   take groups -> score -> pack -> judge -> train step -> publish weights -> retire slots
//
// To judge is to run what the recipe asks for besides the policy (reference, value model, the
// policy's own log-probs before it moves) and to make advantages of it.
//
// A machine; one a rank, all in step. Rank 0 owns the pool, the published weights, the log and the
// checkpoints.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/metrics.h"
#include "learner/advantage.h"
#include "learner/checkpoint.h"
#include "learner/mesh.h"
#include "learner/sample_pool.h"
#include "learner/shared_value.h"
#include "learner/updater.h"
#include "learner/value_model.h"
#include "learner/weight_store.h"
#include "moe/decoder.h"
#include "reward/normalisation.h"
#include "reward/reward.h"

namespace ponder::learner {

class TrainLoop {
 public:
  struct Options {
    uint64_t seed = 1;        // of the split into mini-batches
    int64_t steps = 300;      // of the policy
    int64_t minibatches = 1;  // optimizer updates a step
    double lr = 1e-4;
    double min_lr = 1e-4;      // where the cosine decay ends; lr: none
    int64_t warmup_steps = 5;  // optimizer updates
    reward::RewardOptions reward;
    reward::SourceNormaliser::Options normalisation;  // of rewards, by source
    bool overlong_filtering = false;  // truncated responses are left out of the loss (DAPO)
    bool proximal =
        false;  // take the ratio against the learner's own log-probs at the step's start
    bool replay_routing = false;  // the policy's tokens go to the experts that the actors recorded
    AdvantageOptions advantage;
    // Steps before the policy's, in which the value model alone learns, from the fixed policy.
    int64_t value_pretrain_steps = 0;
    double value_lr = 2e-4;
    int64_t checkpoint_every = 25;  // steps
    std::string checkpoints;        // folder of checkpoints
    int64_t keep_checkpoints = 2;
    moe::Carried carried;                             // with every checkpoint
    absl::Duration take_timeout = absl::Minutes(10);  // for one step's samples
    std::function<absl::Status()> on_first_update;    // if set, called by rank 0 once
  };
  // What rank 0 has besides; null on the other ranks.
  struct Services {
    SamplePool* pool = nullptr;
    WeightStore* weights = nullptr;
    MetricsLog* metrics = nullptr;
  };

  // The models besides the policy that the recipe asks for, on every rank; null: not asked for.
  struct Companions {
    moe::Decoder* reference = nullptr;
    ValueModel* value = nullptr;
    SharedValue* shared_value = nullptr;  // instead; the updater uses it too
  };

  // All references outlive it. `start`: all zero, or what a checkpoint says.
  TrainLoop(const Options& options, const TrainState& start, moe::Decoder& decoder,
            Updater& updater, const Mesh& mesh, const Services& services,
            const Companions& companions);
  TrainLoop(const Options& options, const TrainState& start, moe::Decoder& decoder,
            Updater& updater, const Mesh& mesh, const Services& services)
      : TrainLoop(options, start, decoder, updater, mesh, services, Companions{}) {}

  // Publishes the weights at hand, then trains until the last step (OK), Stop (Cancelled, after a
  // checkpoint), or a failure.
  absl::Status Run();
  // Ends Run after the step in progress. On rank 0; from any thread.
  void Stop();

 private:
  enum class Command : int64_t { kTrain, kSkip, kFinish, kStop };
  // Rank 0 waits for samples and tells the others what to do.
  absl::StatusOr<Command> NextCommand(SamplePool::Taken* taken, double* wait_seconds);
  // What a step did: to the policy, and to the value model.
  struct Report {
    Updater::Report policy;
    bool trained = false;         // the policy
    int64_t skipped_updates = 0;  // every response was masked
    double value_loss = 0;
    double value_grad_norm = 0;
    double explained_variance = 0;  // of the values before their update
  };
  bool Pretraining() const { return state_.step < options_.value_pretrain_steps; }
  // Scores the groups, one source's beside another's, and packs them.
  PolicyBatch Pack(const SamplePool::Taken& taken, std::vector<std::vector<Score>>* scores);
  absl::Status Judge(PolicyBatch* batch);
  absl::StatusOr<Report> Train(const PolicyBatch& batch);
  double LearningRate(int64_t update) const;
  absl::Status Publish();
  absl::Status Log(const SamplePool::Taken& taken, const std::vector<std::vector<Score>>& scores,
                   const Report& report, double wait_seconds, double train_seconds);
  absl::Status Save();

  const Options options_;
  TrainState state_;
  reward::SourceNormaliser normaliser_;  // of rank 0
  moe::Decoder& decoder_;
  Updater& updater_;
  const Mesh& mesh_;
  const Services services_;
  bool updated_ = false;
  size_t most_starving_ = 0;  // experts in a step, as reported
  const Companions companions_;
  std::atomic<bool> stopping_{false};
};

}  // namespace ponder::learner

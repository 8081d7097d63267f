// RolloutLoop: the actor's page.
//
//   lease -> weights at least v -> sample G -> verify G -> submit
//
// Four threads, so that decoding never waits for the network while there is work: one asks for
// leases, one fetches new weights as soon as they are published, one (the caller of Run) generates,
// one has answers judged and hands them in.
//
// New weights are taken between two tokens, as soon as they are there: running sequences go on
// under them, and their segments say so. Staleness is bounded by the version that a sample was
// started under. In synchronous mode nothing runs while weights are trained: no sample mixes
// versions.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "actor/engine/engine.h"
#include "actor/links.h"
#include "base/queue.h"
#include "base/types.h"
#include "data/model_text.h"
#include "moe/kernels/sampling.h"

namespace ponder::actor {

// A machine; runs once.
class RolloutLoop {
 public:
  struct Options {
    uint64_t seed = 1;  // of the run: keys the random draws
    Engine::Options engine;
    kernels::SamplingOptions sampling;
    int64_t max_response_tokens = 0;
    std::string system_prompt;
    std::shared_ptr<const data::ModelText> text = data::ByteText();  // of the model
    // The longest prompt and its answer together; 0: what the model takes.
    int64_t max_sequence_tokens = 0;
    std::function<void()> on_first_token;  // if set, called once, when the first token is sampled
  };
  // The links outlive it.
  RolloutLoop(const Options& options, LearnerLink& learner, VerifierLink& verifier);

  // OK: the run is finished, or Stop was called. Unavailable: the learner stayed away.
  // FailedPrecondition: a newer process has this actor's name. InvalidArgument: a prompt does not
  // fit the model. Else what went wrong with the weights.
  absl::Status Run();
  // Ends Run soon; what is unfinished goes back to the pool by itself. From any thread.
  void Stop() { End(absl::OkStatus()); }

 private:
  // A prompt as the model sees it.
  struct Problem {
    Prompt prompt;
    std::vector<int32_t> tokens;
  };
  // One sample to generate.
  struct Assignment {
    Lease lease;
    std::shared_ptr<const Problem> problem;
    int64_t life = 0;
    absl::Time leased;
  };
  // One sample to judge and hand in.
  struct Answer {
    Rollout rollout;
    std::shared_ptr<const Problem> problem;
  };
  struct VersionedModel {
    moe::Model model;
    int64_t version = 0;
    int64_t life = 0;
  };

  // The threads.
  void LeaseWork();
  void FetchWeights();
  absl::Status Generate();
  void Deliver();

  // The first call decides what Run returns; wakes and ends everybody.
  void End(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  bool ended() const ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::vector<Assignment>> Assign(LearnerLink::LeaseBatch batch) const;
  // Starts what may start now.
  absl::Status Admit();
  // Brings the engine to the newest weights, waiting for those that `assignment` may be started
  // under. False: it is void.
  absl::StatusOr<bool> TakeWeightsFor(const Assignment& assignment);
  absl::Status TakeNewerWeights();
  absl::Status Use(const VersionedModel& next);
  absl::Status Start(Assignment assignment);
  absl::Status Step();
  Answer MakeAnswer(Engine::Finished finished);
  void Forget(int64_t assignments) ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  const int64_t bite_;  // samples asked for at once
  LearnerLink& learner_;
  VerifierLink& verifier_;
  Queue<std::vector<Assignment>> work_;
  Queue<Answer> answers_;

  mutable absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  int64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;  // leased and not yet generated
  int64_t life_ ABSL_GUARDED_BY(mutex_) = -1;      // the newest seen; -1: none yet
  std::optional<VersionedModel> newest_ ABSL_GUARDED_BY(mutex_);

  // Of the generating thread alone.
  std::unique_ptr<Engine> engine_;
  int64_t engine_life_ = -1;
  std::deque<Assignment> waiting_;           // in lease order
  std::map<SampleKey, Assignment> running_;  // in the engine
  bool sampled_ = false;                     // the first token has come
};

}  // namespace ponder::actor

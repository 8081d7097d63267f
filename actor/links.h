// The two seams of an actor: to the learner and to the verifier. Each has a gRPC kind (here) and an
// in-process kind (loopback, tests).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/types.h"
#include "moe/checkpoint.h"

namespace ponder::actor {

// To the learner. A seam; thread-safe.
class LearnerLink {
 public:
  virtual ~LearnerLink() = default;
  struct LeaseBatch {
    std::vector<Lease> leases;    // in lease order
    std::vector<Prompt> prompts;  // each prompt that the leases name, once
    bool run_finished = false;
    int64_t life = 0;  // of the run; a higher one voids the weights and leases of those before
  };
  // Waits up to `wait` for work; an empty batch: ask again. Unavailable: the learner stayed away.
  // FailedPrecondition: a newer process has this actor's name; stop.
  virtual absl::StatusOr<LeaseBatch> LeaseSamples(int64_t max_samples, int64_t weight_version,
                                                  absl::Duration wait) = 0;
  struct SubmitCounts {
    int64_t accepted = 0, duplicate = 0, expired = 0, rejected = 0;
    std::string first_rejection;
  };
  virtual absl::StatusOr<SubmitCounts> Submit(std::vector<Sample> samples) = 0;
  // The model under its newest weights, of at least `least_version`. Every tensor's checksum has
  // been verified (DataLoss otherwise). DeadlineExceeded: no such version within `wait`.
  virtual absl::StatusOr<moe::Model> FetchWeights(int64_t least_version, absl::Duration wait) = 0;
  // Ends the calls in progress, and later ones at once, with Cancelled.
  virtual void Cancel() = 0;
};

// To a verifier. A seam; thread-safe.
class VerifierLink {
 public:
  virtual ~VerifierLink() = default;
  struct Question {
    std::string kind;
    std::string gold;
    std::string response;  // bytes as sampled; need not be UTF-8
  };
  // One verdict a question, in order. What could not be judged (verifier away, too late, cancelled)
  // is a Verdict with outcome kError and the reason: never an exception, never 'wrong'.
  virtual std::vector<Verdict> Grade(const std::vector<Question>& questions) = 0;
  // Ends the calls in progress, and later ones at once. A kind that never waits has nothing to do.
  virtual void Cancel() {}
};

struct GrpcLearnerOptions {
  std::string address;                         // host:port
  std::string actor;                           // this actor's name
  int64_t incarnation = 0;                     // grows each time the actor starts
  absl::Duration patience = absl::Minutes(1);  // how long to try again while the learner is away
};
std::unique_ptr<LearnerLink> MakeGrpcLearnerLink(const GrpcLearnerOptions& options);

struct GrpcVerifierOptions {
  std::string address;
  absl::Duration deadline = absl::Seconds(30);  // of one batch, retries included
};
std::unique_ptr<VerifierLink> MakeGrpcVerifierLink(const GrpcVerifierOptions& options);

}  // namespace ponder::actor

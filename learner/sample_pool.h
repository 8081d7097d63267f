// SamplePool: prompts in, leases out; finished samples in, whole groups out. It keeps samples fresh
// and counts each one once.
//
//   slots = (max_staleness + 1) * groups_per_step
//
// A slot is taken when a group's samples are leased and freed when the weights trained from it are
// published (Retire) or the group is dropped. Groups leave in lease order. Together these bound
// staleness: no sample is trained more than max_staleness updates after the weights it was started
// under.
//
//   open --Submit--> finished --Take--> training --Retire--> trained at step n
//    |  \--lease expired, actor replaced, verifier error--> open again, attempt + 1
//    \--> dropped because (degenerate, attempts_exhausted, run_finished, rolled_back)
//
// With max_staleness 0 the groups of each step are a pure function of seed and verdicts, whatever
// the actors' number or speed: a degenerate group's slot passes to the next group in order, so that
// a step is the first groups_per_step that are not degenerate.
//
// Every change of state is in the ledger (learner/ledger.h) before the caller hears of it. When the
// ledger can't be written (disk full), every call from then on fails with its Status: the run ends,
// and can be resumed. A machine, thread-safe; knows nothing of gRPC or tensors.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/types.h"
#include "learner/curriculum.h"
#include "learner/ledger.h"
#include "moe/routing_record.h"

namespace ponder::learner {

class SamplePool {
 public:
  struct Options {
    uint64_t seed = 1;       // order of the prompts
    int64_t group_size = 8;  // G: samples a prompt
    int64_t groups_per_step = 48;
    int64_t max_staleness = 0;  // 0: strictly on-policy
    absl::Duration lease = absl::Minutes(2);
    int64_t max_attempts = 5;      // then the whole group is dropped
    bool dynamic_sampling = true;  // drop groups whose samples all agree
    int64_t max_degenerate_groups =
        480;  // drops in a step that are made up for; after more, Take returns what there is
    Curriculum::Options curriculum;
    // What samples must say of the experts that their tokens were routed to; empty: nothing.
    std::optional<moe::RoutingShape> routing;
  };
  // Where a resumed run starts: both from the checkpoint.
  struct Position {
    int64_t step = 0;           // updates done
    int64_t next_group_id = 0;  // the first group not yet trained or dropped
    int64_t version = 0;  // weights published at the start: the least that leases name until Retire
    std::string curriculum = "";  // its state; empty: from the beginning
  };

  // Rolls back in the ledger what was trained or leased after `start`. InvalidArgument: no prompts,
  // two with one id, or an option out of range. DataLoss: `start.curriculum` is not of these
  // prompts. `clock`, for tests, is in place of SteadyNow: for leases and for the dates in the
  // ledger, which a wall clock that is set does not move. Waiting goes by the real one.
  static absl::StatusOr<std::unique_ptr<SamplePool>> Make(const Options& options,
                                                          std::vector<Prompt> prompts,
                                                          std::unique_ptr<Ledger> ledger,
                                                          const Position& start,
                                                          absl::Time (*clock)() = nullptr);
  ~SamplePool();

  // --- actors ---
  struct LeaseBatch {
    std::vector<Lease> leases;    // in lease order
    std::vector<Prompt> prompts;  // each prompt that the leases name, once
    bool run_finished = false;
    int64_t life =
        0;  // of the run: grows when it is resumed; what was leased in an earlier one is void
  };
  // Waits for work until `deadline`; then an empty batch. FailedPrecondition: a newer incarnation
  // of this actor exists. Unavailable after Close. An actor seen for the first time under a higher
  // incarnation loses its older leases at once.
  absl::StatusOr<LeaseBatch> LeaseSamples(const std::string& actor, int64_t incarnation,
                                          int64_t max_samples, absl::Time deadline);
  enum class SubmitOutcome { kAccepted, kDuplicate, kExpired, kRejected };
  struct SubmitResult {
    SubmitOutcome outcome = SubmitOutcome::kRejected;
    std::string message;
  };
  // One result a sample, in order. Submitting a sample twice counts once; one whose verdict is
  // kError is accepted, and handed out again. An error is of the whole call (Unavailable after
  // Close, or the ledger's): nothing was counted.
  absl::StatusOr<std::vector<SubmitResult>> Submit(const std::string& actor, int64_t incarnation,
                                                   std::vector<Sample> samples);

  // --- learner ---
  struct Taken {
    std::vector<Group> groups;      // in lease order; fewer than groups_per_step (even none) if too
                                    // many were degenerate
    int64_t degenerate_groups = 0;  // dropped since the last Take
    int64_t retried_samples = 0;    // leases handed out again since the last Take
    int64_t dropped_samples = 0;    // for other reasons than degeneracy, since the last Take
    std::vector<Sample>
        dropped;  // finished samples of the degenerate groups, for statistics of the whole batch
  };
  // Waits for a step's worth of groups. DeadlineExceeded says what is missing; Cancelled after
  // Close. FailedPrecondition: the groups of the Take before were not retired.
  absl::StatusOr<Taken> Take(absl::Time deadline);
  // The groups of the last Take were trained as `step`, and weights `version` are published: frees
  // their slots, and leases given out from now on name `version` as the least.
  absl::Status Retire(int64_t step, int64_t version);
  // Where a checkpoint taken now (after Retire) would have to start again.
  Position position() const;
  // What is drawn from, as of the last Retire.
  std::vector<Curriculum::Domain> domains() const;
  // No more work: waiting and later callers get run_finished; what is open is dropped as
  // run_finished.
  absl::Status Finish();
  // Wakes everybody without touching the ledger: the run will be resumed.
  void Close();

 private:
  struct State;
  explicit SamplePool(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ponder::learner

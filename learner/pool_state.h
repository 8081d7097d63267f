// The inside of SamplePool: the groups that hold slots, and the moves that a lock's holder makes on
// them. Included by learner/sample_pool.cc and learner/pool_state.cc alone.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/types.h"
#include "learner/curriculum.h"
#include "learner/ledger.h"
#include "learner/sample_pool.h"

namespace ponder::learner {

// One sample of a group in flight.
struct Draw {
  enum class State { kWaiting, kLeased, kFinished };
  State state = State::kWaiting;
  int64_t first_attempt = 0;  // in this life of the run
  int64_t attempt = 0;        // of the lease; while it waits, of the next one
  bool in_ledger = false;     // was leased at least once in this life
  std::string actor;          // who holds or held it
  int64_t least_version = 0;
  absl::Time deadline;
  Sample sample;  // once finished
};

// A group that holds a slot.
struct Flight {
  const Prompt* prompt = nullptr;
  int64_t first_sample = 0;
  std::vector<Draw> draws;
  int64_t finished = 0;
  bool training = false;

  SampleKey key(size_t draw) const {
    return {prompt->id, first_sample + static_cast<int64_t>(draw)};
  }
  bool complete() const { return finished == static_cast<int64_t>(draws.size()); }
};

struct Actor {
  int64_t incarnation = 0;
  absl::Time seen;
};

struct SamplePool::State {
  State(const Options& options, std::vector<Prompt> prompts, std::unique_ptr<Ledger> ledger,
        const Position& start, absl::Time (*clock)())
      : options(options),
        slots((options.max_staleness + 1) * options.groups_per_step),
        prompts(std::move(prompts)),
        clock(clock),
        curriculum(options.curriculum, options.seed, this->prompts, options.group_size),
        ledger(std::move(ledger)),
        position(start),
        next_group_id(start.next_group_id) {}

  const Options options;
  const int64_t slots;
  const std::vector<Prompt> prompts;
  absl::Time (*const clock)();

  absl::Mutex mutex;
  // Grows with whatever somebody may wait for: work to lease, groups to take, the end.
  int64_t changes ABSL_GUARDED_BY(mutex) = 0;
  Curriculum curriculum ABSL_GUARDED_BY(mutex);
  std::unique_ptr<Ledger> ledger ABSL_GUARDED_BY(mutex);
  absl::Status failure ABSL_GUARDED_BY(mutex);               // of the ledger; ends everything
  Position position ABSL_GUARDED_BY(mutex);                  // as of the last Retire
  int64_t next_group_id ABSL_GUARDED_BY(mutex);              // the next to be opened
  std::map<int64_t, Flight> flights ABSL_GUARDED_BY(mutex);  // by group id, so in lease order
  std::set<std::pair<int64_t, size_t>> waiting ABSL_GUARDED_BY(mutex);  // draws that nobody holds
  std::map<std::string, Actor> actors ABSL_GUARDED_BY(mutex);
  bool taken ABSL_GUARDED_BY(mutex) = false;  // between Take and Retire
  bool finished ABSL_GUARDED_BY(mutex) = false;
  bool closed ABSL_GUARDED_BY(mutex) = false;
  int64_t degenerate_in_step ABSL_GUARDED_BY(mutex) = 0;
  Taken since_take ABSL_GUARDED_BY(mutex);                    // the counts of the next Take
  std::string last_error ABSL_GUARDED_BY(mutex);              // of a verifier
  std::vector<Ledger::Entry> entries ABSL_GUARDED_BY(mutex);  // of the call in progress

  // Until something has changed, or for `limit`.
  void AwaitChange(absl::Duration limit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Entries first gather, then are written at once at the end of a call.
  absl::Status Flush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Makes `actor` known under `incarnation`; a higher one takes back what the lower ones hold.
  absl::Status Greet(const std::string& actor, int64_t incarnation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void ReturnExpired(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Puts a leased draw back, or drops its group if it was leased too often. True if the group is
  // gone.
  bool Return(int64_t group_id, size_t draw, const std::string& reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Drop(int64_t group_id, const std::string& reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  absl::Status OpenGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  Lease LeaseOne(const std::string& actor, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  absl::Time NextExpiry() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  absl::StatusOr<SubmitResult> SubmitOne(const std::string& actor, Sample sample)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  absl::StatusOr<SubmitResult> SubmitLate(const Rollout& rollout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Complete(int64_t group_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // The groups of the next step, if all are there.
  std::optional<std::vector<int64_t>> Ready() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  std::string Missing() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
};

}  // namespace ponder::learner

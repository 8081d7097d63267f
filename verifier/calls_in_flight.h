// How a server ends: no new calls, and the old ones finished.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"

namespace ponder::verifier {

// Counts the calls that have begun and not ended. A machine, thread-safe. (gRPC's own graceful
// shutdown also waits for idle clients to acknowledge it, which a client without a poller never
// does.)
class CallsInFlight {
 public:
  // Every call enters once and leaves once. False: draining; the call must be refused.
  bool Enter() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    ++count_;
    return !draining_;
  }
  void Leave() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    --count_;
  }
  // From now on calls are refused; returns when all have left, or at the deadline.
  void Drain(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    AwaitUntil(mutex_, absl::Condition(this, &CallsInFlight::None), deadline);
  }
  int count() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return count_;
  }

 private:
  bool None() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return count_ == 0; }

  mutable absl::Mutex mutex_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace ponder::verifier

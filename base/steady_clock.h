// The clock of deadlines, timeouts and measured durations: one that nobody sets. The wall clock
// may be stepped at any moment (by NTP, by hand, by a virtual machine's host), and a deadline by it
// then comes at once or never. Dates, which others read, are by the wall clock: absl::Now().
//
// Abseil's own waits with a limit are by the wall clock, even those that take a duration: they come
// early or late by the step. So nothing here calls them; AwaitUntil is for that. gRPC's timers are
// built on them and can't be changed: where a call's deadline must pass on the caller's side (the
// peer is silent), a clock set back makes it late by as much. Deadlines cross to gRPC and back by
// proto/transport.h.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace ponder {

// What the wall clock showed when this was first called, and from then on what has passed by
// CLOCK_MONOTONIC. To be compared with values of this process alone.
absl::Time SteadyNow();

// Waits until `condition` holds or SteadyNow() has reached `deadline`, never less. True: it holds.
// The caller holds `mutex` for writing, as for absl::Mutex::Await.
bool AwaitUntil(absl::Mutex& mutex, const absl::Condition& condition, absl::Time deadline)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

}  // namespace ponder

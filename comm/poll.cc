#include "comm/poll.h"

#include <sched.h>

#include "absl/time/clock.h"
#include "base/steady_clock.h"

namespace ponder::comm {

bool PollUntil(absl::Time deadline, const std::function<bool()>& unfinished) {
  const absl::Time eager_until = SteadyNow() + absl::Milliseconds(1);
  while (unfinished()) {
    const absl::Time now = SteadyNow();
    if (now > deadline) return false;
    if (now < eager_until) {
      sched_yield();
    } else {
      absl::SleepFor(absl::Microseconds(100));
    }
  }
  return true;
}

}  // namespace ponder::comm

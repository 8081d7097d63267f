// Whether kinds that take milliseconds are being judged just now. Programs then leave a processor
// free: a kernel that is not preempted lets a program which forks or fills memory hold one for
// longer than such a kind takes (docs/benchmarks.md).
#pragma once

#include <atomic>

#include "absl/time/time.h"
#include "base/steady_clock.h"

namespace ponder::verifier {

// A machine, thread-safe.
class QuickWork {
 public:
  void Note() { latest_ = absl::ToUnixMillis(SteadyNow()); }
  // Some came within the last second.
  bool Recent() const { return absl::ToUnixMillis(SteadyNow()) - latest_ < 1000; }

 private:
  std::atomic<int64_t> latest_{0};
};

}  // namespace ponder::verifier

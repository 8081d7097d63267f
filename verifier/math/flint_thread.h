// FLINT and Arb keep per-thread caches (integers to reuse, digits of pi) that they never free.
#pragma once

#include <flint/flint.h>

namespace ponder::verifier::math {

// Whoever makes the first number in a thread calls this; what the thread cached is then freed when
// it ends, the main thread included. Numbers must not outlive their thread.
inline void FreeFlintCachesAtThreadEnd() {
  struct Guard {
    bool armed = false;
    ~Guard() { flint_cleanup(); }
  };
  static thread_local Guard guard;
  guard.armed = true;  // a use: the guard lives from the first call on
}

}  // namespace ponder::verifier::math

// Waiting for a transport that can only be asked.
#pragma once

#include <functional>

#include "absl/time/time.h"

namespace ponder::comm {

// Calls `unfinished` until it returns false or the deadline passes: eagerly for a millisecond, in
// which short operations end, then with pauses of 0.1 ms that leave the core to whoever we are
// waiting for. False: too late.
bool PollUntil(absl::Time deadline, const std::function<bool()>& unfinished);

}  // namespace ponder::comm

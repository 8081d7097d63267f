// SIGTERM and SIGINT as an ordinary call on an ordinary thread.
#pragma once

#include <functional>
#include <thread>

namespace ponder::deploy {

// Blocks SIGTERM and SIGINT in this thread and those it starts. Call first thing in main.
void BlockStopSignals();
// Calls `on_stop` once, from a thread of its own: at the first SIGTERM or SIGINT, else when
// destroyed. A machine.
class StopSignal {
 public:
  explicit StopSignal(std::function<void()> on_stop);
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

 private:
  std::thread thread_;
};

}  // namespace ponder::deploy

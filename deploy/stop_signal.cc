#include "deploy/stop_signal.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

namespace ponder::deploy {
namespace {

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

void BlockStopSignals() {
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

StopSignal::StopSignal(std::function<void()> on_stop) {
  thread_ = std::thread([on_stop = std::move(on_stop)] {
    const sigset_t signals = StopSignals();
    int received = 0;
    sigwait(&signals, &received);
    on_stop();
  });
}

StopSignal::~StopSignal() {
  // Wakes the thread if no signal came; then on_stop is called too late to matter.
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

}  // namespace ponder::deploy

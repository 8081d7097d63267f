#include "base/steady_clock.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <new>
#include <thread>

#include "absl/time/clock.h"

namespace ponder {
namespace {

absl::Duration SinceBoot() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

constexpr absl::Duration kAgain = absl::Milliseconds(1);  // after a mutex that was taken
constexpr absl::Duration kLongestSleep = absl::Hours(1);

// A machine, thread-safe: a thread that, when an alarm is due, locks and unlocks its mutex, which
// makes Abseil look at the conditions of whoever waits there. It never waits for a mutex, so that
// one which is held for long delays no other's alarm. There is one in a process.
class AlarmClock {
  struct Alarm {
    absl::Mutex* mutex;
    bool rang = false;
  };

 public:
  using Handle = std::multimap<absl::Time, Alarm>::iterator;

  // `mutex` must live until Unset.
  Handle Set(absl::Time at, absl::Mutex* mutex) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const Handle set = alarms_.emplace(at, Alarm{mutex});
    if (!runs_) std::thread(&AlarmClock::Run, this).detach();
    runs_ = true;
    if (at < sleeps_until_) earlier_.notify_one();
    return set;
  }
  void Unset(Handle alarm) {
    const std::lock_guard<std::mutex> lock(mutex_);
    alarms_.erase(alarm);
  }

 private:
  void Run() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      const absl::Time now = SteadyNow();
      sleeps_until_ = now + kLongestSleep;
      for (auto& [at, alarm] : alarms_) {
        if (at > now) {
          sleeps_until_ = std::min(sleeps_until_, at);
          break;
        }
        if (alarm.rang) continue;
        if (alarm.mutex->TryLock()) {
          alarm.mutex->Unlock();
          alarm.rang = true;
        } else {
          sleeps_until_ = now + kAgain;
        }
      }
      const auto sleep = absl::ToChronoNanoseconds(sleeps_until_ - now);
      earlier_.wait_until(lock, std::chrono::steady_clock::now() + sleep);
    }
  }

  // The standard library's, since Abseil's can't wait by the steady clock. It guards all below.
  std::mutex mutex_;
  std::condition_variable earlier_;  // an alarm was set before `sleeps_until_`
  std::multimap<absl::Time, Alarm> alarms_;
  absl::Time sleeps_until_ = absl::InfinitePast();
  bool runs_ = false;
};

// Never destroyed, since its thread runs to the end. A forked child doesn't have that thread and
// begins with a new one.
AlarmClock& ProcessClock() {
  alignas(AlarmClock) static unsigned char place[sizeof(AlarmClock)];
  static AlarmClock* const clock = [] {
    pthread_atfork(nullptr, nullptr, [] { new (place) AlarmClock; });
    return new (place) AlarmClock;
  }();
  return *clock;
}

}  // namespace

absl::Time SteadyNow() {
  static const absl::Time boot = absl::Now() - SinceBoot();
  return boot + SinceBoot();
}

bool AwaitUntil(absl::Mutex& mutex, const absl::Condition& condition, absl::Time deadline) {
  if (condition.Eval()) return true;
  if (SteadyNow() >= deadline) return false;
  if (deadline == absl::InfiniteFuture()) {
    mutex.Await(condition);
    return true;
  }
  const auto over = [&] { return condition.Eval() || SteadyNow() >= deadline; };
  AlarmClock& clock = ProcessClock();
  const AlarmClock::Handle alarm = clock.Set(deadline, &mutex);
  mutex.Await(absl::Condition(&over));
  clock.Unset(alarm);
  return condition.Eval();
}

}  // namespace ponder

// Supervisor: starts the processes of a run, watches them, starts the fallen again, and stops them
// all.
//
// A machine, thread-safe; owns the children and one thread that launches, watches and reaps them. A
// child is in a process group of its own, so that Ctrl-C on the terminal reaches only us and we
// stop them in order; it is killed by the kernel when we die, however we die. What happens is told
// as events, in order.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/queue.h"
#include "deploy/child_process.h"

namespace ponder::deploy {

// Something happened to a child. A value.
struct ChildEvent {
  enum class What {
    kStarted,    // runs for the first time
    kDied,       // ended by a failure; will be started again
    kRestarted,  // runs again; `cause` says what had ended it
    kGaveUp,     // ended by a failure and will not be started again
    kFinished,   // ended by itself with exit code 0
    kStopped,    // ended because it was told to
  };
  What what = What::kStarted;
  std::string name;
  pid_t pid = 0;      // of the process that runs or ended
  std::string cause;  // one line; empty for kStarted and kStopped
};
const char* EventName(ChildEvent::What what);  // "started", "died", "restarted", "gave_up", ...

class Supervisor {
 public:
  struct Options {
    // A child that is told to stop (SIGTERM) and still runs after this is killed, with its process
    // group.
    absl::Duration grace = absl::Seconds(5);
  };

  static absl::StatusOr<std::unique_ptr<Supervisor>> Create(const Options& options);
  // Stops all.
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Returns once the program runs. AlreadyExists: a child of this name is there and has not ended.
  absl::Status Start(const ChildSpec& spec) ABSL_LOCKS_EXCLUDED(mutex_);
  // Returns when it has ended. NotFound: no child of this name. One that has ended already is fine.
  absl::Status Stop(absl::string_view name) ABSL_LOCKS_EXCLUDED(mutex_);
  // One after the other, the last started first. Returns the first error, but tries all.
  absl::Status StopAll() ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits until the child has written its port file, and returns what it says, "host:port".
  // Aborted, with the cause, as soon as the child dies; DeadlineExceeded.
  absl::StatusOr<std::string> WaitForPort(absl::string_view name, absl::Time deadline)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The next event; nullopt when none came before `deadline`.
  std::optional<ChildEvent> NextEvent(absl::Time deadline) { return events_.Pop(deadline); }

 private:
  enum class State { kNew, kRunning, kStopping, kBackingOff, kEnded };
  struct Child {
    ChildSpec spec;
    State state = State::kNew;
    std::unique_ptr<ChildProcess> process;    // kRunning, kStopping
    absl::Time due = absl::InfiniteFuture();  // kBackingOff: launch it; kStopping: kill it
    std::vector<absl::Time> restarts;         // of the current window
    int ends = 0;                             // how often a process of it has ended
    std::string cause;                        // of the latest end
    absl::Status launch;                      // how the latest launch went
  };

  Supervisor(const Options& options, int wake_fd);
  void Watch() ABSL_LOCKS_EXCLUDED(mutex_);
  void Wake() const;
  void Launch(Child& child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DoWhatIsDue(Child& child, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandleEnd(Child& child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Fell(Child& child, pid_t pid) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tell(ChildEvent::What what, const Child& child, pid_t pid, const std::string& cause)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Child* Find(absl::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const int wake_fd_;  // an eventfd: wakes the thread from poll
  Queue<ChildEvent> events_;
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<Child>> children_ ABSL_GUARDED_BY(mutex_);  // in order of start
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread watch_;  // the last member: it uses all others
};

}  // namespace ponder::deploy

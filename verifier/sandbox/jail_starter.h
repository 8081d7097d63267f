// The process that jails are forked from.
//
// To fork the service itself copies its page tables under the lock that the page faults of all its
// threads wait for, and makes a fault of every page that they write next: milliseconds for whoever
// is served meanwhile. The starter is forked once, has one thread, and does nothing but fork
// setters. These and the jails' first processes are nevertheless children of the service, which
// waits for them.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/queue.h"
#include "verifier/sandbox/jail_process.h"

namespace ponder::verifier {

// A machine, thread-safe. The process ends with it. One that was killed is replaced at the next
// Start.
class JailStarter {
 public:
  // It runs on `processors`. Unavailable: the system makes no further process.
  static absl::StatusOr<std::unique_ptr<JailStarter>> Make(const cpu_set_t& processors);
  ~JailStarter();
  JailStarter(const JailStarter&) = delete;
  JailStarter& operator=(const JailStarter&) = delete;

  // Forks the setter; its process id. The plan and all that it points to lie in memory that was
  // mapped shared before Make (descriptors are passed on), and don't change until the jail has
  // ended. Unavailable: no process could be made.
  absl::StatusOr<pid_t> Start(const JailPlan& plan) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  explicit JailStarter(const cpu_set_t& processors);
  absl::Status Fork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Send(const JailPlan& plan) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  int socket_ ABSL_GUARDED_BY(mutex_) = -1;
  pid_t process_ ABSL_GUARDED_BY(mutex_) = -1;
  // Jails die with the thread that their starter is a child of (PR_SET_PDEATHSIG).
  Queue<std::function<void()>> forks_{1};
  std::thread parent_;
};

}  // namespace ponder::verifier

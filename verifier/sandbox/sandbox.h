// The sandbox: runs programs that nobody trusts, each in a jail of its own.
//
// Layers, each of which must hold for itself (docs/sandbox.md): an unprivileged user of its own;
// user, process, mount, network, IPC, host name and cgroup namespaces; a root with nothing in it
// but a read-only /usr, five devices, its own processes and two bounded folders in memory; no
// capabilities; a system call filter; control groups for memory, processes and CPU time; wall clock
// and output bounds. `SelfTest` (self_test.h) runs a program that tries to get out.
#pragma once

#include <linux/filter.h>
#include <sched.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "verifier/quick_work.h"
#include "verifier/sandbox/cgroup.h"
#include "verifier/sandbox/jail_starter.h"
#include "verifier/sandbox/program.h"
#include "verifier/sandbox/shared_arena.h"

namespace ponder::verifier {

// A machine, thread-safe.
class Sandbox {
 public:
  struct Options {
    int slots = 16;  // jails at a time; more wait
    // As root, jail i runs as user and group first_user + i: users that own nothing.
    int first_user = 65000;
    std::string cgroup_root = "/sys/fs/cgroup";
    // Run although control groups or the change of user are missing (not root). Memory, processes
    // and CPU time are then bounded per process only, and jails share the caller's user.
    bool accept_missing_layers = false;
    // While it is recent, programs and the threads that watch them keep off the first processor,
    // where there are several. Null: never. Outlives the sandbox.
    const QuickWork* quick_work = nullptr;
  };
  // FailedPrecondition names the layers that this machine lacks.
  static absl::StatusOr<std::unique_ptr<Sandbox>> Make(const Options& options);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  // Waits for a free slot, runs, and returns when every process of the jail is gone. Errors say
  // nothing about the program: Internal, the jail could not be set up; DeadlineExceeded. `stop`: a
  // descriptor that becomes readable when the program is to end as kStopped, or -1.
  absl::StatusOr<RunResult> Run(const Program& program, absl::Time deadline, int stop = -1);

  // Two programs at the same time, which may talk over their channels. When the second has ended,
  // the first is stopped.
  struct PairResult {
    absl::StatusOr<RunResult> first, second;
  };
  PairResult RunPair(const Program& first, const Program& second, absl::Time deadline);

  // Layers that are missing and accepted, for logs; empty: all are there.
  const std::string& missing_layers() const { return missing_; }

 private:
  struct Slot {
    int user = 0;
    std::unique_ptr<Cgroup> cgroup;
    SharedArena plan;
  };
  explicit Sandbox(const Options& options) : options_(options) {}

  void FindProcessors();
  absl::Status AddSlots();
  // `count` slots at once, so that no pair waits for another pair's half.
  std::vector<Slot*> Take(int count, absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);
  void Return(const std::vector<Slot*>& slots) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<RunResult> RunIn(Slot& slot, const Program& program, int stop,
                                  absl::Time deadline) const;
  // Laid out in the slot's arena. InvalidArgument: the program's files are too large.
  absl::StatusOr<JailPlan*> LayOut(Slot& slot, const Program& program) const;

  const Options options_;
  cpu_set_t processors_ = {}, all_but_first_ = {};  // of this process; alike if there is one
  bool drop_user_ = false;
  CgroupLayout layout_;
  std::string missing_;
  std::vector<sock_filter> filter_;
  std::deque<Slot> slots_;  // in use or free
  std::unique_ptr<JailStarter> starter_;

  absl::Mutex mutex_;
  std::vector<Slot*> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ponder::verifier

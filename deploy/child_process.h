// One child process: started so that it can't outlive us, ended so that nothing of it stays, and
// able to say in one line why it died.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"

namespace ponder::deploy {

// What to start. A value.
struct ChildSpec {
  std::string name;               // "actor.1"; in events and messages
  std::vector<std::string> argv;  // argv[0] is looked up in PATH unless it has a slash
  std::vector<std::pair<std::string, std::string>> environment;  // on top of ours
  std::string log_path;  // stdout and stderr are appended to it; its folder is made
  // If not empty, the file in which the child, once it listens, says where: one line "host:port",
  // written in one step.
  std::string port_file;
  // How often it is started again after a failure, within `restart_window`, before we give up. It
  // waits first: `first_backoff`, then twice as long each time, up to `longest_backoff`.
  int max_restarts = 0;
  absl::Duration restart_window = absl::Minutes(1);
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration longest_backoff = absl::Seconds(10);
};

// How a process ended.
struct ChildEnd {
  bool clean = false;  // exit code 0
  // "actor.1 (pid 4211) was killed by SIGKILL after 12.3s; peak memory 48 MiB; last log lines: ..."
  std::string cause;
};

// A machine; not thread-safe. The child is killed (SIGKILL) when the thread that launched it ends,
// even if that is by SIGKILL of the whole process: launch from a thread that lives as long as the
// child should.
class ChildProcess {
 public:
  // Forks and executes; returns once the program runs. NotFound, PermissionDenied, ... name the
  // program or the log file.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Launch(const ChildSpec& spec);
  // Kills and reaps what is still there.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // A pidfd: readable once the process has ended.
  int pidfd() const { return pidfd_; }
  // To the process and its process group, which is its own.
  void Signal(int signal);
  // Of a process that has ended: kills what is left of its session, which is its own, reaps it and
  // says how it ended.
  ChildEnd Reap();

 private:
  ChildProcess(const ChildSpec& spec, pid_t pid, int pidfd, int64_t log_begin)
      : name_(spec.name),
        log_path_(spec.log_path),
        pid_(pid),
        pidfd_(pidfd),
        log_begin_(log_begin),
        started_(SteadyNow()) {}

  const std::string name_;
  const std::string log_path_;
  const pid_t pid_;
  const int pidfd_;
  const int64_t log_begin_;  // bytes of the log before this process
  const absl::Time started_;
  bool reaped_ = false;
};

}  // namespace ponder::deploy

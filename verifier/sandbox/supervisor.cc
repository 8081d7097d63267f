#include "verifier/sandbox/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "verifier/sandbox/jail_process.h"

namespace ponder::verifier {
namespace {

constexpr size_t kErrorOutputBytes = 64 << 10;
constexpr absl::Duration kSetUpTime = absl::Seconds(120);  // a busy machine may take long
constexpr absl::Duration kLastWords = absl::Milliseconds(100);
constexpr double kLeastCheck = 0.005,
                 kLongestCheck = 0.25;  // seconds between looks at the CPU time

constexpr double kMostPatience = 5;  // times the wall clock limit

// Seconds in which some task of this machine waited for a CPU, since it started; 0 where the kernel
// doesn't count them.
double StalledSeconds() {
  const int file = open(kStallsFile, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[256] = "";
  const ssize_t got = read(file, text, sizeof(text) - 1);
  close(file);
  const char* total = got > 0 ? strstr(text, "total=") : nullptr;
  return total == nullptr ? 0 : 1e-6 * strtod(total + 6, nullptr);
}

// Waits until the child is gone.
void Reap(pid_t child) {
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

class Watch {
 public:
  Watch(JailPipes pipes, const Program& program, const Cgroup& cgroup, int stop,
        absl::Time deadline)
      : pipes_(pipes), program_(program), cgroup_(cgroup), stop_(stop), deadline_(deadline) {}
  ~Watch() { CloseInput(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // The first process's id, or what failed. NotFound: nothing was reported.
  absl::StatusOr<pid_t> AwaitStart();
  // Until the main process ends or must be ended. Errors: DeadlineExceeded, Internal.
  absl::Status UntilEnd();
  // What was written before the end; call when all processes are gone.
  RunResult Finish();

 private:
  std::optional<JailReport> ReadReport();
  void WriteInput();
  void CloseInput() {
    if (pipes_.input >= 0) close(std::exchange(pipes_.input, -1));
  }
  // Reads what is there; false at the end of the pipe.
  bool Drain(int pipe, size_t limit, std::string* text, int64_t* total);
  bool OverLimit();      // sets `stopped_for_`
  int Patience() const;  // milliseconds until a limit may be passed

  JailPipes pipes_;
  const Program& program_;
  const Cgroup& cgroup_;
  int stop_;
  absl::Time stop_at_ = absl::InfiniteFuture();
  const absl::Time deadline_;
  absl::Time start_;
  double stalled_at_start_ = 0;
  size_t input_written_ = 0;
  int64_t output_total_ = 0, error_total_ = 0;
  double cpu_seconds_ = 0;
  std::optional<RunResult::End> stopped_for_;
  std::optional<JailReport> ended_;
  RunResult result_;
};

std::optional<JailReport> Watch::ReadReport() {
  JailReport report;
  if (read(pipes_.report, &report, sizeof(report)) != sizeof(report)) return std::nullopt;
  return report;
}

absl::Status SetUpFailure(const JailReport& report) {
  return absl::InternalError(absl::StrCat(
      "the jail could not be set up: ", JailStepName(report.step), ": ", strerror(report.value)));
}

absl::StatusOr<pid_t> Watch::AwaitStart() {
  start_ = SteadyNow();
  stalled_at_start_ = StalledSeconds();
  const absl::Time give_up = start_ + kSetUpTime;
  pollfd waiting = {pipes_.report, POLLIN, 0};
  while (poll(&waiting, 1, std::max<int>(0, absl::ToInt64Milliseconds(give_up - SteadyNow()))) <
             0 &&
         errno == EINTR) {
  }
  const std::optional<JailReport> report = ReadReport();
  if (!report) return absl::InternalError("the jail could not be set up: it ended without a word");
  if (report->step != JailStep::kStarted) return SetUpFailure(*report);
  return report->value;
}

// write(), where a reader that has gone is EPIPE alone: its signal would end the whole process.
ssize_t WriteWithoutSignal(int pipe, absl::string_view text) {
  sigset_t pipe_signal, before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  const ssize_t written = write(pipe, text.data(), text.size());
  const int error = errno;
  constexpr timespec kAtOnce = {0, 0};
  if (written < 0 && error == EPIPE) sigtimedwait(&pipe_signal, nullptr, &kAtOnce);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return written;
}

void Watch::WriteInput() {
  const ssize_t written = WriteWithoutSignal(pipes_.input, program_.input.substr(input_written_));
  if (written >= 0) input_written_ += written;
  const bool broken = written < 0 && errno != EAGAIN && errno != EINTR;
  if (broken || input_written_ == program_.input.size()) CloseInput();
}

bool Watch::Drain(int pipe, size_t limit, std::string* text, int64_t* total) {
  char buffer[65536];
  for (int rounds = 0; rounds < 16; ++rounds) {
    const ssize_t got = read(pipe, buffer, sizeof(buffer));
    if (got == 0) return false;
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    *total += got;
    text->append(buffer, std::min<size_t>(got, limit - text->size()));
    if (*total > program_.limits.output_bytes) break;
  }
  return true;
}

bool Watch::OverLimit() {
  const Limits& limits = program_.limits;
  cpu_seconds_ = cgroup_.CpuSeconds();
  if (output_total_ > limits.output_bytes || error_total_ > limits.output_bytes) {
    stopped_for_ = RunResult::End::kOutputLimit;
  } else if (cgroup_.KilledForMemory()) {
    stopped_for_ = RunResult::End::kMemoryLimit;
  } else if (cpu_seconds_ > limits.cpu_seconds) {
    stopped_for_ = RunResult::End::kCpuLimit;
  } else if (const double wall = absl::ToDoubleSeconds(SteadyNow() - start_);
             wall > limits.wall_seconds &&
             (wall > kMostPatience * limits.wall_seconds ||
              wall - (StalledSeconds() - stalled_at_start_) > limits.wall_seconds)) {
    stopped_for_ = RunResult::End::kWallLimit;
  }
  return stopped_for_.has_value();
}

int Watch::Patience() const {
  const double wall = program_.limits.wall_seconds - absl::ToDoubleSeconds(SteadyNow() - start_);
  // All of a jail's processes together use at most as many CPUs as there are.
  static const long cpus = std::max(1L, sysconf(_SC_NPROCESSORS_ONLN));
  const double cpu =
      (program_.limits.cpu_seconds - std::max(0.0, cpu_seconds_)) / static_cast<double>(cpus);
  const double caller = absl::ToDoubleSeconds(std::min(deadline_, stop_at_) - SteadyNow());
  const double until =
      std::min({std::max(kLeastCheck, std::min({wall, cpu, caller})), kLongestCheck});
  return static_cast<int>(until * 1000) + 1;
}

absl::Status Watch::UntilEnd() {
  if (program_.input.empty()) WriteInput();
  while (true) {
    // Negative descriptors are passed over.
    pollfd waiting[] = {{pipes_.report, POLLIN, 0},
                        {pipes_.output, POLLIN, 0},
                        {pipes_.error, POLLIN, 0},
                        {pipes_.input, POLLOUT, 0},
                        {stop_, POLLIN, 0}};
    if (poll(waiting, 5, Patience()) < 0 && errno != EINTR) {
      return ErrnoStatus(errno, "can't poll a jail's pipes");
    }
    if (waiting[3].revents != 0) WriteInput();
    if (waiting[1].revents != 0 &&
        !Drain(pipes_.output, program_.limits.output_bytes, &result_.output, &output_total_)) {
      pipes_.output = -1;
    }
    if (waiting[2].revents != 0 &&
        !Drain(pipes_.error, kErrorOutputBytes, &result_.error_output, &error_total_)) {
      pipes_.error = -1;
    }
    if (waiting[0].revents != 0) {
      ended_ = ReadReport();
      if (ended_ && ended_->step != JailStep::kProgramEnded) return SetUpFailure(*ended_);
      if (ended_ || cgroup_.KilledForMemory()) return absl::OkStatus();
      return absl::InternalError("the jail's first process died without a word");
    }
    if (waiting[4].revents != 0) {
      stop_ = -1;
      stop_at_ = SteadyNow() + kLastWords;
    }
    if (OverLimit()) return absl::OkStatus();
    if (SteadyNow() > stop_at_) {
      stopped_for_ = RunResult::End::kStopped;
      return absl::OkStatus();
    }
    if (SteadyNow() > deadline_) {
      return absl::DeadlineExceededError("the caller's deadline passed while the program ran");
    }
  }
}

RunResult Watch::Finish() {
  result_.wall_seconds = absl::ToDoubleSeconds(SteadyNow() - start_);
  if (pipes_.output >= 0) {
    while (output_total_ <= program_.limits.output_bytes) {
      const int64_t before = output_total_;
      if (!Drain(pipes_.output, program_.limits.output_bytes, &result_.output, &output_total_) ||
          output_total_ == before) {
        break;
      }
    }
  }
  if (pipes_.error >= 0) {
    Drain(pipes_.error, kErrorOutputBytes, &result_.error_output, &error_total_);
  }
  if (!stopped_for_) OverLimit();
  result_.cpu_seconds = cpu_seconds_;
  if (cpu_seconds_ < 0) {  // nothing counts what the program's children used while they live
    result_.cpu_seconds = ended_ ? 1e-6 * ended_->cpu_microseconds : 0;
    if (!stopped_for_ && result_.cpu_seconds > program_.limits.cpu_seconds) {
      stopped_for_ = RunResult::End::kCpuLimit;
    }
  }
  if (stopped_for_) {
    result_.end = *stopped_for_;
  } else if (!ended_) {
    result_.end = RunResult::End::kMemoryLimit;
  } else if (WIFSIGNALED(ended_->value)) {
    result_.end = RunResult::End::kSignaled;
    result_.signal = WTERMSIG(ended_->value);
  } else {
    result_.end = RunResult::End::kExited;
    result_.exit_code = WEXITSTATUS(ended_->value);
  }
  return std::move(result_);
}

}  // namespace

absl::StatusOr<RunResult> Supervise(pid_t setter, JailPipes pipes, const Program& program,
                                    const Cgroup& cgroup, int stop, absl::Time deadline) {
  Watch watch(pipes, program, cgroup, stop, deadline);
  const absl::StatusOr<pid_t> first = watch.AwaitStart();
  if (!first.ok()) {
    kill(setter, SIGKILL);
    Reap(setter);
    return first.status();
  }
  Reap(setter);
  const absl::Status status = watch.UntilEnd();
  // Process 1 is our child and not yet waited for: its id is still its own. With it dies its jail.
  kill(*first, SIGKILL);
  cgroup.Kill();
  Reap(*first);
  PONDER_RETURN_IF_ERROR(status);
  return watch.Finish();
}

}  // namespace ponder::verifier

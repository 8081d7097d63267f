#include "deploy/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "base/status.h"
#include "base/steady_clock.h"

extern char** environ;

namespace ponder::deploy {
namespace {

// What execvpe takes: pointers into strings that outlive it.
std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const ChildSpec& spec) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::pair<std::string, std::string> variable =
        absl::StrSplit(*entry, absl::MaxSplits('=', 1));
    variables.insert(variable);
  }
  for (const auto& [name, value] : spec.environment) variables[name] = value;
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(absl::StrCat(name, "=", value));
  return environment;
}

// In the child, between fork and exec: only what is safe there. Never returns; an errno goes to
// `error_fd`.
[[noreturn]] void BecomeProgram(char** argv, char** environment, int log_fd, int error_fd,
                                pid_t parent) {
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before we asked to be told
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int ignored : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) signal(ignored, SIG_DFL);
  const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null_fd >= 0 && dup2(null_fd, 0) >= 0 && dup2(log_fd, 1) >= 0 && dup2(log_fd, 2) >= 0) {
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    execvpe(argv[0], argv, environment);
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(error_fd, &error, sizeof(error));
  _exit(127);
}

// The last lines with something in them that this process wrote, at most 3 of at most 200 bytes.
std::string LastLogLines(const std::string& path, int64_t begin) {
  constexpr int64_t kTail = 4096;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  const absl::Cleanup closer = [fd] { close(fd); };
  const int64_t end = lseek(fd, 0, SEEK_END);
  std::string tail(kTail, '\0');
  const ssize_t n = pread(fd, tail.data(), tail.size(), std::max(begin, end - kTail));
  tail.resize(std::max<ssize_t>(n, 0));
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(tail, absl::ByAnyChar("\n\r"))) {
    const absl::string_view text = absl::StripAsciiWhitespace(line);
    if (text.empty()) continue;
    lines.push_back(text.size() <= 200 ? std::string(text)
                                       : absl::StrCat(text.substr(0, 200), "..."));
    if (lines.size() > 3) lines.erase(lines.begin());
  }
  return absl::StrJoin(lines, " | ");
}

// Sends SIGKILL to all that run in `session`; false when there was nothing left to kill. Process
// groups would not do: mpirun gives each rank one of its own.
bool KillSession(pid_t session) {
  bool found = false;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    std::ifstream file(entry.path() / "stat");
    std::string stat;
    std::getline(file, stat);
    // "pid (name) state parent group session ...", where the name may contain anything.
    const size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) continue;
    std::istringstream fields(stat.substr(name_end + 1));
    char state = 0;
    pid_t parent = 0, group = 0, its_session = 0;
    if (!(fields >> state >> parent >> group >> its_session)) continue;
    if (its_session != session || state == 'Z' || state == 'X') continue;
    kill(pid, SIGKILL);
    found = true;
  }
  return found;
}

std::string HowItEnded(int wait_status) {
  if (WIFEXITED(wait_status)) return absl::StrCat("exited with code ", WEXITSTATUS(wait_status));
  const int signal = WTERMSIG(wait_status);
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? absl::StrCat("was killed by SIG", name)
                         : absl::StrCat("was killed by signal ", signal);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Launch(const ChildSpec& spec) {
  PONDER_CHECK(!spec.argv.empty(), spec.name, " has nothing to run");
  const std::string folder = std::filesystem::path(spec.log_path).parent_path();
  if (!folder.empty()) PONDER_RETURN_IF_ERROR(MakeFolder(folder));
  const int log_fd = open(spec.log_path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (log_fd < 0) return ErrnoStatus(errno, absl::StrCat("can't open the log ", spec.log_path));
  const absl::Cleanup log_closer = [log_fd] { close(log_fd); };
  const int64_t log_begin = lseek(log_fd, 0, SEEK_END);
  if (!spec.port_file.empty() && unlink(spec.port_file.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("can't remove the old ", spec.port_file));
  }

  std::vector<std::string> arguments = spec.argv, environment = Environment(spec);
  const std::vector<char*> argv = Pointers(arguments), envp = Pointers(environment);
  int error_pipe[2];
  if (pipe2(error_pipe, O_CLOEXEC) != 0) return ErrnoStatus(errno, "can't make a pipe");
  const absl::Cleanup pipe_closer = [&error_pipe] { close(error_pipe[0]); };
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    BecomeProgram(const_cast<char**>(argv.data()), const_cast<char**>(envp.data()), log_fd,
                  error_pipe[1], parent);
  }
  const int fork_error = errno;
  close(error_pipe[1]);
  if (pid < 0) return ErrnoStatus(fork_error, absl::StrCat("can't fork for ", spec.name));

  // The pipe closes when the program starts.
  int exec_error = 0;
  ssize_t n;
  do {
    n = read(error_pipe[0], &exec_error, sizeof(exec_error));
  } while (n < 0 && errno == EINTR);
  if (n == sizeof(exec_error)) {
    waitpid(pid, nullptr, 0);
    return ErrnoStatus(exec_error, absl::StrCat("can't run ", spec.argv[0]));
  }
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));  // close-on-exec
  if (pidfd < 0) {
    const absl::Status status = ErrnoStatus(errno, "pidfd_open; Linux 5.3 or later is needed");
    kill(-pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return status;
  }
  return std::unique_ptr<ChildProcess>(new ChildProcess(spec, pid, pidfd, log_begin));
}

ChildProcess::~ChildProcess() {
  if (!reaped_) {
    Signal(SIGKILL);
    Reap();
  }
  close(pidfd_);
}

void ChildProcess::Signal(int signal) { kill(-pid_, signal); }

ChildEnd ChildProcess::Reap() {
  PONDER_CHECK(!reaped_, name_);
  // While it isn't reaped, its number can't be given to another session.
  siginfo_t info;
  while (waitid(P_PID, pid_, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  // Again as long as there are some: they may have been forking.
  for (int round = 0; round < 100 && KillSession(pid_); ++round) sched_yield();
  int wait_status = 0;
  rusage usage{};
  while (wait4(pid_, &wait_status, 0, &usage) < 0 && errno == EINTR) {
  }
  reaped_ = true;
  ChildEnd end;
  end.clean = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
  const std::string last_lines = LastLogLines(log_path_, log_begin_);
  end.cause = absl::StrCat(
      name_, " (pid ", pid_, ") ", HowItEnded(wait_status),
      absl::StrFormat(" after %.1fs; peak memory %d MiB",
                      absl::ToDoubleSeconds(SteadyNow() - started_), usage.ru_maxrss / 1024),
      last_lines.empty() ? "; it logged nothing" : absl::StrCat("; last log lines: ", last_lines));
  return end;
}

}  // namespace ponder::deploy

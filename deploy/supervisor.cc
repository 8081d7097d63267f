#include "deploy/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/status.h"
#include "base/steady_clock.h"

namespace ponder::deploy {
namespace {

constexpr size_t kEventsKept = 4096;
constexpr absl::Duration kAfterKill = absl::Seconds(10);  // for the kernel to end a killed process

// poll(2) until `deadline`, rounded up; restarted when a signal interrupts it.
int PollUntil(std::vector<pollfd>& fds, absl::Time deadline) {
  for (;;) {
    int timeout_ms = -1;
    if (deadline != absl::InfiniteFuture()) {
      const int64_t left = absl::ToInt64Milliseconds(deadline - SteadyNow()) + 1;
      timeout_ms = static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000'000));
    }
    const int n = poll(fds.data(), fds.size(), timeout_ms);
    if (n >= 0 || errno != EINTR) return n;
  }
}

}  // namespace

const char* EventName(ChildEvent::What what) {
  switch (what) {
    case ChildEvent::What::kStarted:
      return "started";
    case ChildEvent::What::kDied:
      return "died";
    case ChildEvent::What::kRestarted:
      return "restarted";
    case ChildEvent::What::kGaveUp:
      return "gave_up";
    case ChildEvent::What::kFinished:
      return "finished";
    case ChildEvent::What::kStopped:
      return "stopped";
  }
  return "?";
}

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Create(const Options& options) {
  const int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return ErrnoStatus(errno, "eventfd");
  return std::unique_ptr<Supervisor>(new Supervisor(options, wake_fd));
}

Supervisor::Supervisor(const Options& options, int wake_fd)
    : options_(options), wake_fd_(wake_fd), events_(kEventsKept), watch_([this] { Watch(); }) {}

Supervisor::~Supervisor() {
  const absl::Status stopped = StopAll();
  if (!stopped.ok()) PONDER_LOG(kError, stopped.message());
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
  }
  Wake();
  watch_.join();
  close(wake_fd_);
}

absl::Status Supervisor::Start(const ChildSpec& spec) {
  absl::MutexLock lock(&mutex_);
  Child* child = Find(spec.name);
  if (child == nullptr) {
    children_.push_back(std::make_unique<Child>());
    child = children_.back().get();
  } else if (child->state == State::kEnded) {
    // In its place, since others may hold it, but the last in order.
    const auto same = [child](const auto& other) { return other.get() == child; };
    const auto at = std::find_if(children_.begin(), children_.end(), same);
    std::rotate(at, at + 1, children_.end());
    *child = Child();
  } else {
    return absl::AlreadyExistsError(absl::StrCat(spec.name, " is running already"));
  }
  child->spec = spec;
  Wake();
  const auto launched = [child] { return child->state != State::kNew; };
  mutex_.Await(absl::Condition(&launched));
  return Annotate(child->launch, absl::StrCat("starting ", spec.name));
}

absl::Status Supervisor::Stop(absl::string_view name) {
  absl::MutexLock lock(&mutex_);
  Child* const child = Find(name);
  if (child == nullptr) return absl::NotFoundError(absl::StrCat("no child process ", name));
  const auto launched = [child] { return child->state != State::kNew; };
  mutex_.Await(absl::Condition(&launched));
  if (child->state == State::kBackingOff) {
    child->state = State::kEnded;
    Tell(ChildEvent::What::kStopped, *child, 0, "");
  }
  if (child->state == State::kRunning) {
    child->state = State::kStopping;
    child->due = SteadyNow() + options_.grace;
    child->process->Signal(SIGTERM);
    Wake();
  }
  const auto ended = [child] { return child->state == State::kEnded; };
  if (AwaitUntil(mutex_, absl::Condition(&ended), SteadyNow() + options_.grace + kAfterKill)) {
    return absl::OkStatus();
  }
  return absl::DeadlineExceededError(
      absl::StrCat(name, " (pid ", child->process->pid(), ") does not end, even by SIGKILL"));
}

absl::Status Supervisor::StopAll() {
  std::vector<std::string> names;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& child : children_) names.push_back(child->spec.name);
  }
  absl::Status status;
  for (auto name = names.rbegin(); name != names.rend(); ++name) status.Update(Stop(*name));
  return status;
}

absl::StatusOr<std::string> Supervisor::WaitForPort(absl::string_view name, absl::Time deadline) {
  std::string path;
  int pidfd = -1;
  int ends = 0;
  {
    absl::MutexLock lock(&mutex_);
    Child* const child = Find(name);
    if (child == nullptr) return absl::NotFoundError(absl::StrCat("no child process ", name));
    if (child->process == nullptr) return absl::AbortedError(child->cause);
    path = child->spec.port_file;
    ends = child->ends;
    pidfd = fcntl(child->process->pidfd(), F_DUPFD_CLOEXEC, 0);
  }
  if (pidfd < 0) return ErrnoStatus(errno, absl::StrCat("can't watch ", name));
  const absl::Cleanup pidfd_closer = [pidfd] { close(pidfd); };
  const int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (notify < 0) return ErrnoStatus(errno, "inotify");
  const absl::Cleanup notify_closer = [notify] { close(notify); };
  const std::string folder = std::filesystem::absolute(path).parent_path();
  if (inotify_add_watch(notify, folder.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE) < 0) {
    return ErrnoStatus(errno, absl::StrCat("can't watch ", folder));
  }
  for (;;) {
    char ignored[4096];
    while (read(notify, ignored, sizeof(ignored)) > 0) {
    }
    const absl::StatusOr<std::string> line = ReadFile(path);
    if (line.ok() && !line->empty()) return std::string(absl::StripAsciiWhitespace(*line));
    if (!line.ok() && !absl::IsNotFound(line.status())) return line.status();
    std::vector<pollfd> fds = {{pidfd, POLLIN, 0}, {notify, POLLIN, 0}};
    if (PollUntil(fds, deadline) == 0) {
      return absl::DeadlineExceededError(
          absl::StrCat(name, " does not listen yet (no ", path, ")"));
    }
    if (fds[0].revents == 0) continue;
    // It died: the watching thread knows, or is about to know, why.
    absl::MutexLock lock(&mutex_);
    const auto reaped = [this, name, ends]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      const Child* const child = Find(name);
      return child == nullptr || child->ends > ends;
    };
    AwaitUntil(mutex_, absl::Condition(&reaped), deadline);
    const Child* const child = Find(name);
    return absl::AbortedError(
        absl::StrCat("before it listened, ", child == nullptr ? std::string(name) : child->cause));
  }
}

void Supervisor::Watch() {
  for (;;) {
    std::vector<pollfd> fds = {{wake_fd_, POLLIN, 0}};
    absl::Time due = absl::InfiniteFuture();
    {
      absl::MutexLock lock(&mutex_);
      if (closing_) {
        children_.clear();
        return;
      }
      for (const auto& child : children_) {
        DoWhatIsDue(*child, SteadyNow());
        due = std::min(due, child->due);
        if (child->process != nullptr) fds.push_back({child->process->pidfd(), POLLIN, 0});
      }
    }
    PollUntil(fds, due);
    uint64_t wakes;
    [[maybe_unused]] const ssize_t n = read(wake_fd_, &wakes, sizeof(wakes));
    absl::MutexLock lock(&mutex_);
    for (const auto& child : children_) {
      const auto ended = [&child](const pollfd& fd) {
        return child->process != nullptr && fd.fd == child->process->pidfd() && fd.revents != 0;
      };
      if (std::any_of(fds.begin(), fds.end(), ended)) HandleEnd(*child);
    }
  }
}

void Supervisor::Wake() const {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof(one));
}

void Supervisor::DoWhatIsDue(Child& child, absl::Time now) {
  if (child.state == State::kNew) {
    Launch(child);
    if (!child.launch.ok()) {
      child.state = State::kEnded;
      child.cause = std::string(child.launch.message());
      return;
    }
    Tell(ChildEvent::What::kStarted, child, child.process->pid(), "");
  }
  if (now < child.due) return;
  child.due = absl::InfiniteFuture();
  if (child.state == State::kStopping) child.process->Signal(SIGKILL);
  if (child.state != State::kBackingOff) return;
  Launch(child);
  if (child.launch.ok()) {
    Tell(ChildEvent::What::kRestarted, child, child.process->pid(), child.cause);
  } else {
    child.cause = std::string(child.launch.message());
    Fell(child, 0);
  }
}

void Supervisor::Launch(Child& child) {
  absl::StatusOr<std::unique_ptr<ChildProcess>> process = ChildProcess::Launch(child.spec);
  child.launch = process.status();
  if (!process.ok()) return;
  child.process = *std::move(process);
  child.state = State::kRunning;
}

void Supervisor::HandleEnd(Child& child) {
  const pid_t pid = child.process->pid();
  const ChildEnd end = child.process->Reap();
  child.process.reset();
  child.due = absl::InfiniteFuture();
  child.cause = end.cause;
  ++child.ends;
  if (child.state == State::kStopping) {
    child.state = State::kEnded;
    Tell(ChildEvent::What::kStopped, child, pid, "");
  } else if (end.clean) {
    child.state = State::kEnded;
    Tell(ChildEvent::What::kFinished, child, pid, end.cause);
  } else {
    Fell(child, pid);
  }
}

// It ended by a failure: again, or enough?
void Supervisor::Fell(Child& child, pid_t pid) {
  const ChildSpec& spec = child.spec;
  const absl::Time now = SteadyNow();
  auto& restarts = child.restarts;
  restarts.erase(std::remove_if(restarts.begin(), restarts.end(),
                                [&](absl::Time t) { return t < now - spec.restart_window; }),
                 restarts.end());
  if (static_cast<int>(restarts.size()) < spec.max_restarts) {
    absl::Duration backoff = spec.first_backoff;
    for (size_t i = 0; i < restarts.size(); ++i)
      backoff = std::min(2 * backoff, spec.longest_backoff);
    restarts.push_back(now);
    child.state = State::kBackingOff;
    child.due = now + backoff;
    Tell(ChildEvent::What::kDied, child, pid, child.cause);
    return;
  }
  child.state = State::kEnded;
  if (spec.max_restarts > 0) {
    child.cause = absl::StrCat(spec.name, " was started again ", restarts.size(), " times within ",
                               absl::FormatDuration(spec.restart_window),
                               " and died each time; not again. At last ", child.cause);
  }
  Tell(ChildEvent::What::kGaveUp, child, pid, child.cause);
}

void Supervisor::Tell(ChildEvent::What what, const Child& child, pid_t pid,
                      const std::string& cause) {
  if (!events_.TryPush({what, child.spec.name, pid, cause})) {
    PONDER_LOG(kWarning, "nobody reads the events: ", child.spec.name, " ", EventName(what));
  }
}

Supervisor::Child* Supervisor::Find(absl::string_view name) {
  for (const auto& child : children_) {
    if (child->spec.name == name) return child.get();
  }
  return nullptr;
}

}  // namespace ponder::deploy

#include "verifier/sandbox/jail_starter.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/check.h"
#include "base/status.h"

namespace ponder::verifier {
namespace {

constexpr int kMostCgroups = 8;
constexpr int kMostDescriptors = kMostCgroups + 6;

// With it come the descriptors: those of the control groups, then those of `passed`.
struct Request {
  const JailPlan* plan = nullptr;
  bool passed[6] = {};  // whether the plan's descriptors 0 to 4 are there, and the report
};
struct Reply {
  pid_t setter = -1;
  int error = 0;
};

// A message with room for descriptors.
struct Message {
  explicit Message(Request* request) : part{request, sizeof(*request)} {
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
  }
  iovec part;
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))] = {};
  msghdr header = {};
};

// The starter's whole life. It was forked from a process with many threads: system calls alone, and
// not by way of functions that a sanitizer replaces.
[[noreturn]] void Serve(int socket) {
  if (socket > 0) syscall(SYS_close_range, 0u, static_cast<unsigned>(socket) - 1, 0u);
  syscall(SYS_close_range, static_cast<unsigned>(socket) + 1, ~0u, 0u);
  prctl(PR_SET_NAME, "jail-starter", 0, 0, 0);
  while (true) {
    Request request;
    Message message(&request);
    const long got = syscall(SYS_recvmsg, socket, &message.header, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got != sizeof(request)) syscall(SYS_exit_group, 0);  // the service has gone
    int descriptors[kMostDescriptors];
    const cmsghdr* const attached = CMSG_FIRSTHDR(&message.header);
    const size_t count = attached == nullptr ? 0 : (attached->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (attached != nullptr) memcpy(descriptors, CMSG_DATA(attached), count * sizeof(int));
    // CLONE_PARENT: a child of the service.
    const long setter = syscall(SYS_clone, SIGCHLD | CLONE_PARENT, 0, 0, 0, 0);
    if (setter == 0) {
      JailPlan plan = *request.plan;
      const int* next = descriptors;
      plan.cgroups = next;
      next += plan.cgroup_count;
      for (int i = 0; i < 5; ++i) plan.descriptors[i] = request.passed[i] ? *next++ : -1;
      plan.report = *next;
      RunSetter(plan);
    }
    const Reply reply = {static_cast<pid_t>(setter), setter < 0 ? errno : 0};
    for (size_t i = 0; i < count; ++i) syscall(SYS_close, descriptors[i]);
    syscall(SYS_sendto, socket, &reply, sizeof(reply), MSG_NOSIGNAL, nullptr, 0);
  }
}

absl::Status Failed(const char* what, int error) {
  return absl::UnavailableError(absl::StrCat("can't fork a jail: ", what, ": ", strerror(error)));
}

}  // namespace

JailStarter::JailStarter(const cpu_set_t& processors) {
  parent_ = std::thread([this, processors] {
    sched_setaffinity(0, sizeof(processors), &processors);
    while (std::optional<std::function<void()>> fork = forks_.Pop()) (*fork)();
  });
}

absl::StatusOr<std::unique_ptr<JailStarter>> JailStarter::Make(const cpu_set_t& processors) {
  std::unique_ptr<JailStarter> starter(new JailStarter(processors));
  absl::MutexLock lock(&starter->mutex_);
  const absl::Status forked = starter->Fork();
  if (!forked.ok()) return forked;
  return starter;
}

JailStarter::~JailStarter() {
  {
    absl::MutexLock lock(&mutex_);
    End();
  }
  forks_.Close();
  parent_.join();
}

absl::Status JailStarter::Fork() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return Failed("socketpair", errno);
  }
  pid_t child = -1;
  int error = 0;
  absl::Notification done;
  forks_.TryPush([&] {
    // No signal may run one of the service's handlers in the child.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    // Not fork(): its handlers (those of gRPC, of malloc) are of no use to a child that never
    // returns.
    child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    if (child == 0) Serve(ends[1]);
    error = errno;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    done.Notify();
  });
  done.WaitForNotification();
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return Failed("clone", error);
  }
  socket_ = ends[0];
  process_ = child;
  return absl::OkStatus();
}

void JailStarter::End() {
  if (process_ < 0) return;
  close(std::exchange(socket_, -1));
  kill(process_, SIGKILL);  // others may have inherited our end of the socket
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
}

absl::Status JailStarter::Send(const JailPlan& plan) {
  Request request;
  request.plan = &plan;
  int descriptors[kMostDescriptors];
  int count = 0;
  while (count < plan.cgroup_count) {
    descriptors[count] = plan.cgroups[count];
    ++count;
  }
  for (int i = 0; i < 6; ++i) {
    const int descriptor = i < 5 ? plan.descriptors[i] : plan.report;
    request.passed[i] = descriptor >= 0;
    if (descriptor >= 0) descriptors[count++] = descriptor;
  }
  Message message(&request);
  message.header.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* const attached = CMSG_FIRSTHDR(&message.header);
  attached->cmsg_level = SOL_SOCKET;
  attached->cmsg_type = SCM_RIGHTS;
  attached->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(attached), descriptors, count * sizeof(int));
  if (sendmsg(socket_, &message.header, MSG_NOSIGNAL) != sizeof(request)) {
    return Failed("sendmsg", errno);
  }
  return absl::OkStatus();
}

absl::StatusOr<pid_t> JailStarter::Start(const JailPlan& plan) {
  PONDER_CHECK(plan.cgroup_count <= kMostCgroups, "a jail of ", plan.cgroup_count, " groups");
  absl::MutexLock lock(&mutex_);
  absl::Status sent = process_ < 0 ? Failed("no starter", ECHILD) : Send(plan);
  if (!sent.ok()) {
    End();
    PONDER_RETURN_IF_ERROR(Fork());
    sent = Send(plan);
  }
  PONDER_RETURN_IF_ERROR(sent);
  Reply reply;
  ssize_t got;
  do {
    got = recv(socket_, &reply, sizeof(reply), 0);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof(reply)) {
    const int error = got < 0 ? errno : ECONNRESET;
    End();  // it may have forked a setter or not: not asked again, but the next one is
    return Failed("recv", error);
  }
  if (reply.setter < 0) return Failed("clone", reply.error);
  return reply.setter;
}

}  // namespace ponder::verifier

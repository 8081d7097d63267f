#include "verifier/sandbox/jail_process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

namespace ponder::verifier {
namespace {

constexpr int kReport = 5;  // where the report descriptor is moved to

// Of the first process and of the program until its exec. Each setter has its own copy.
constexpr int kStackBytes = 64 << 10;
alignas(64) char stacks[2][kStackBytes];

[[noreturn]] void Die(int report, JailStep step) {
  const JailReport message = {step, errno, 0};
  if (write(report, &message, sizeof(message)) < 0) {
    // The caller sees the end of the pipe instead.
  }
  syscall(SYS_exit_group, 1);
  __builtin_unreachable();
}

void Require(bool done, JailStep step) {
  if (!done) Die(kReport, step);
}

bool WriteFile(const char* path, const char* data, size_t size, int flags, mode_t mode) {
  const int file = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, mode);
  if (file < 0) return false;
  while (size > 0) {
    const ssize_t written = write(file, data, size);
    if (written <= 0) return false;
    data += written;
    size -= written;
  }
  return close(file) == 0;
}

// `attributes`: MOUNT_ATTR_*, in addition to those that the mount has.
bool SetMount(const char* path, uint64_t attributes, int flags = 0) {
  mount_attr attr = {};
  attr.attr_set = attributes;
  return syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &attr, sizeof(attr)) == 0;
}

// With the mounts below `from`: the kernel lets nobody uncover what they hide.
bool Bind(const char* from, const char* to, uint64_t attributes) {
  return mount(from, to, nullptr, MS_BIND | MS_REC, nullptr) == 0 &&
         SetMount(to, attributes, AT_RECURSIVE);
}

constexpr uint64_t kReadOnly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

// The new root is built on /proc, the one folder of the old root that nothing is taken from.
void BuildRoot(const JailPlan& plan) {
  Require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, JailStep::kMountRoot);
  Require(mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, plan.root_options) == 0 &&
              chdir("/proc") == 0,
          JailStep::kMountRoot);
  for (const char* folder : {"usr", "dev", "proc", "tmp", "box", "etc"}) {
    Require(mkdir(folder, 0755) == 0, JailStep::kMountRoot);
  }
  for (const char* folder : {"bin", "sbin", "lib", "lib64"}) {
    char target[16] = "usr/";
    strcat(target, folder);
    Require(symlink(target, folder) == 0, JailStep::kMountRoot);
  }
  Require(Bind("/usr", "usr", kReadOnly), JailStep::kMountUsr);
  for (const char* device : {"null", "zero", "full", "random", "urandom"}) {
    char from[24] = "/dev/", to[24] = "dev/";
    strcat(from, device);
    strcat(to, device);
    Require(WriteFile(to, "", 0, O_CREAT, 0666) &&
                Bind(from, to, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC),
            JailStep::kMountDevices);
  }
  constexpr const char* kLinks[][2] = {{"/proc/self/fd", "dev/fd"},
                                       {"/proc/self/fd/0", "dev/stdin"},
                                       {"/proc/self/fd/1", "dev/stdout"},
                                       {"/proc/self/fd/2", "dev/stderr"},
                                       {"/tmp", "dev/shm"}};
  for (const auto& [target, link] : kLinks) {
    Require(symlink(target, link) == 0, JailStep::kMountDevices);
  }
  if (plan.shared_folder != nullptr) {
    Require(mkdir("shared", 0755) == 0 && Bind(plan.shared_folder, "shared", kReadOnly),
            JailStep::kMountShared);
  }
  constexpr unsigned long kProcFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  Require(mount("proc", "proc", "proc", kProcFlags, "subset=pid") == 0 ||
              mount("proc", "proc", "proc", kProcFlags, nullptr) == 0,
          JailStep::kMountProc);
  Require(mount("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, plan.tmp_options) == 0,
          JailStep::kMountTmp);
  Require(mount("tmpfs", "box", "tmpfs", MS_NOSUID | MS_NODEV, plan.box_options) == 0,
          JailStep::kWriteFiles);
  for (int i = 0; i < plan.file_count; ++i) {
    const JailPlan::File& file = plan.files[i];
    Require(WriteFile(file.path, file.data, file.size, O_CREAT | O_EXCL, file.mode),
            JailStep::kWriteFiles);
  }
  Require(SetMount("box", kReadOnly), JailStep::kWriteFiles);
}

void Pivot() {
  Require(syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 &&
              chdir("/") == 0 && SetMount("/", kReadOnly) && chdir("/tmp") == 0,
          JailStep::kPivot);
}

void DropCapabilities() {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    Require(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0, JailStep::kDropCapabilities);
  }
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  Require(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 &&
              syscall(SYS_capset, &header, none) == 0 &&
              prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0,
          JailStep::kDropCapabilities);
}

// Shares the first process's memory until exec, as after vfork.
int RunProgram(void* argument) {
  const JailPlan& plan = *static_cast<const JailPlan*>(argument);
  Require(setsid() >= 0, JailStep::kExec);
  for (int i = 0; i < plan.resource_count; ++i) {
    const JailPlan::Resource& resource = plan.resources[i];
    Require(syscall(SYS_prlimit64, 0, resource.which, &resource.limit, nullptr) == 0,
            JailStep::kResourceLimits);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // Last of all: from here on even these lines may only do what the program may.
  Require(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &plan.filter) == 0, JailStep::kFilter);
  char* const no_environment[] = {nullptr};
  execve(plan.argv[0], plan.argv, no_environment);
  Die(kReport, JailStep::kExec);
}

// Set by the setter, in the memory that it shares with the first process, when it has reported that
// one's id: nothing may be reported before.
int announced = 0;

void AwaitAnnouncement() {
  const timespec patience = {120, 0};
  while (__atomic_load_n(&announced, __ATOMIC_ACQUIRE) == 0) {
    if (syscall(SYS_futex, &announced, FUTEX_WAIT, 0, &patience, nullptr, 0) != 0 &&
        errno == ETIMEDOUT) {
      syscall(SYS_exit_group, 1);
    }
  }
}

int RunFirst(void* argument) {
  const JailPlan& plan = *static_cast<const JailPlan*>(argument);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  AwaitAnnouncement();
  prctl(PR_SET_NAME, "jail", 0, 0, 0);
  BuildRoot(plan);
  Pivot();
  Require(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0, JailStep::kDropCapabilities);
  DropCapabilities();
  const pid_t program =
      clone(RunProgram, stacks[1] + kStackBytes, CLONE_VM | CLONE_VFORK | SIGCHLD, argument);
  Require(program > 0, JailStep::kForkProgram);
  syscall(SYS_close_range, 0u, 4u, 0u);  // so that the program's pipes end with the program
  int status = 0;
  rusage usage = {};
  for (pid_t ended = 0; ended != program;) {
    ended = wait4(-1, &status, 0, &usage);
    Require(ended > 0 || errno == EINTR, JailStep::kForkProgram);
  }
  const int64_t cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * int64_t{1000000} +
                      usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  const JailReport message = {JailStep::kProgramEnded, status, cpu};
  if (write(kReport, &message, sizeof(message)) < 0) return 1;
  syscall(SYS_exit_group, 0);
  return 0;
}

// The descriptors that are passed on get the numbers 0 to 5; all others are closed.
void MoveDescriptors(const JailPlan& plan) {
  int moved[6];
  for (int i = 0; i < 6; ++i) {
    const int from = i == kReport ? plan.report : plan.descriptors[i];
    moved[i] = from < 0 ? -1 : fcntl(from, F_DUPFD_CLOEXEC, 16);
    if (from >= 0 && moved[i] < 0) Die(plan.report, JailStep::kDescriptors);
  }
  const int report = moved[kReport];
  for (int i = 0; i < 6; ++i) {
    if (moved[i] < 0) {
      close(i);
    } else if (dup3(moved[i], i, i == kReport ? O_CLOEXEC : 0) < 0) {
      Die(report, JailStep::kDescriptors);
    }
  }
  if (syscall(SYS_close_range, 6u, ~0u, 0u) != 0) Die(kReport, JailStep::kDescriptors);
}

}  // namespace

void RunSetter(const JailPlan& plan) {
  syscall(SYS_sched_setaffinity, 0, sizeof(plan.processors), &plan.processors);
  for (int i = 0; i < plan.cgroup_count; ++i) {
    if (write(plan.cgroups[i], "0", 1) != 1) Die(plan.report, JailStep::kJoinCgroup);
  }
  MoveDescriptors(plan);
  struct sigaction by_default = {};
  by_default.sa_handler = SIG_DFL;
  for (int signal = 1; signal < 65; ++signal) sigaction(signal, &by_default, nullptr);
  if (plan.drop_user) {
    // Raw calls: the C library's would wait for threads that this process doesn't have.
    Require(syscall(SYS_setgroups, 0, nullptr) == 0 &&
                syscall(SYS_setresgid, plan.user, plan.user, plan.user) == 0 &&
                syscall(SYS_setresuid, plan.user, plan.user, plan.user) == 0 &&
                prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0,  // for the maps below
            JailStep::kDropUser);
  }
  Require(syscall(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                                   CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) == 0,
          JailStep::kNamespaces);
  Require(WriteFile("/proc/self/setgroups", "deny", 4, 0, 0) &&
              WriteFile("/proc/self/uid_map", plan.user_map, strlen(plan.user_map), 0, 0) &&
              WriteFile("/proc/self/gid_map", plan.group_map, strlen(plan.group_map), 0, 0),
          JailStep::kMapUser);
  // No further user namespaces below this one.
  Require(
      WriteFile("/proc/sys/user/max_user_namespaces", "0", 1, 0, 0) && sethostname("jail", 4) == 0,
      JailStep::kNamespaces);
  // CLONE_PARENT: a child of the service, for whom alone the process id below makes sense.
  const pid_t first = clone(RunFirst, stacks[0] + kStackBytes, CLONE_VM | CLONE_PARENT | SIGCHLD,
                            const_cast<JailPlan*>(&plan));
  Require(first > 0, JailStep::kForkFirst);
  const JailReport message = {JailStep::kStarted, first, 0};
  if (write(kReport, &message, sizeof(message)) < 0) {
    // Nobody listens; process 1 dies with the caller.
  }
  __atomic_store_n(&announced, 1, __ATOMIC_RELEASE);
  syscall(SYS_futex, &announced, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}

const char* JailStepName(JailStep step) {
  switch (step) {
    case JailStep::kStarted:
      return "start";
    case JailStep::kProgramEnded:
      return "end";
    case JailStep::kJoinCgroup:
      return "joining the control groups";
    case JailStep::kDescriptors:
      return "moving file descriptors";
    case JailStep::kDropUser:
      return "changing to the jail's user";
    case JailStep::kNamespaces:
      return "making namespaces";
    case JailStep::kMapUser:
      return "mapping the jail's user";
    case JailStep::kForkFirst:
      return "forking process 1";
    case JailStep::kMountRoot:
      return "mounting the new root";
    case JailStep::kMountUsr:
      return "mounting /usr";
    case JailStep::kMountDevices:
      return "mounting devices";
    case JailStep::kMountProc:
      return "mounting /proc";
    case JailStep::kMountShared:
      return "mounting the shared folder";
    case JailStep::kMountTmp:
      return "mounting /tmp";
    case JailStep::kWriteFiles:
      return "writing the files of /box";
    case JailStep::kPivot:
      return "changing the root";
    case JailStep::kDropCapabilities:
      return "dropping capabilities";
    case JailStep::kForkProgram:
      return "forking the program";
    case JailStep::kResourceLimits:
      return "setting resource limits";
    case JailStep::kFilter:
      return "installing the system call filter";
    case JailStep::kExec:
      return "starting the program";
  }
  return "?";
}

}  // namespace ponder::verifier

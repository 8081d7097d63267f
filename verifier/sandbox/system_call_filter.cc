#include "verifier/sandbox/system_call_filter.h"

#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"

namespace ponder::verifier {
namespace {

constexpr const char* kRefused[] = {
    // other processes
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
    "move_pages", "migrate_pages",
    // the processors that are left to others
    "sched_setaffinity",
    // keys, programs in the kernel, counters, fault handlers
    "add_key", "keyctl", "request_key", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup",
    "io_uring_enter", "io_uring_register", "fanotify_init", "lookup_dcookie", "memfd_secret",
    "io_setup", "io_submit",
    // namespaces and mounts
    "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount",
    "fspick", "open_tree", "move_mount", "mount_setattr", "name_to_handle_at", "open_by_handle_at",
    "swapon", "swapoff", "quotactl", "quotactl_fd", "acct",
    // the machine
    "reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
    "iopl", "ioperm", "modify_ldt", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex",
    "sethostname", "setdomainname", "syslog", "vhangup", "nfsservctl", "uselib", "ustat", "sysfs",
    "_sysctl", "personality"};

constexpr unsigned long kNewNamespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                                         CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

}  // namespace

absl::StatusOr<std::vector<sock_filter>> BuildSystemCallFilter() {
  scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
  if (context == nullptr) return absl::InternalError("seccomp_init failed");
  const auto release = absl::MakeCleanup([&] { seccomp_release(context); });
  int error = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  // A binary tree rather than a list: what is allowed passes in a few steps.
  if (error == 0) error = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  const auto refuse = [&](int call, int with, auto... conditions) {
    if (error == 0 && call != __NR_SCMP_ERROR) {
      error = seccomp_rule_add(context, SCMP_ACT_ERRNO(with), call, sizeof...(conditions),
                               conditions...);
    }
  };
  for (const char* name : kRefused) refuse(seccomp_syscall_resolve_name(name), EPERM);
  refuse(SCMP_SYS(clone3), ENOSYS);
  for (unsigned long flag = 1; flag != 0; flag <<= 1) {
    if (flag & kNewNamespaces) {
      refuse(SCMP_SYS(clone), EPERM, SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
    }
  }
  refuse(SCMP_SYS(socket), EPERM, SCMP_A0(SCMP_CMP_NE, AF_UNIX));
  refuse(SCMP_SYS(ioctl), EPERM, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCSTI));
  if (error != 0) {
    return absl::InternalError(absl::StrCat("libseccomp refuses a rule, error ", -error));
  }
  const int file = memfd_create("filter", MFD_CLOEXEC);
  if (file < 0) return ErrnoStatus(errno, "memfd_create");
  const auto close_file = absl::MakeCleanup([&] { close(file); });
  if (seccomp_export_bpf(context, file) != 0) return absl::InternalError("seccomp_export_bpf");
  std::vector<sock_filter> filter(lseek(file, 0, SEEK_END) / sizeof(sock_filter));
  const ssize_t bytes = filter.size() * sizeof(sock_filter);
  if (filter.empty() || pread(file, filter.data(), bytes, 0) != bytes) {
    return absl::InternalError("can't read the seccomp filter back");
  }
  return filter;
}

}  // namespace ponder::verifier

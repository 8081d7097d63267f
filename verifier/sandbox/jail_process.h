// The processes of one jail, from the setter to the program's exec.
//
//   service ── starter (jail_starter.h), which forks the setter
//      ├────── setter: joins control groups, gives up its user and groups, makes the namespaces,
//      │       exits
//      └────── first: process 1 of the jail; mounts, pivot_root, gives up every capability, waits
//                └── program: limits, system call filter, exec
//
// All come from a process with many threads, so that everything here is system calls on memory that
// was laid out before: no allocation, no locks. Process 1 never runs another program. It holds
// memory of the service's, and so is not dumpable: the program can't open anything of it in /proc,
// trace it or signal it. When it exits, the kernel kills whatever is left in the jail.
#pragma once

#include <linux/filter.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>

namespace ponder::verifier {

enum class JailStep : int32_t {
  kStarted = 0,   // `value`: the process id of the first process
  kProgramEnded,  // `value`: as from waitpid
  kJoinCgroup,    // this and the following: what failed, `value` the errno
  kDescriptors,
  kDropUser,
  kNamespaces,
  kMapUser,
  kForkFirst,
  kMountRoot,
  kMountUsr,
  kMountDevices,
  kMountProc,
  kMountShared,
  kMountTmp,
  kWriteFiles,
  kPivot,
  kDropCapabilities,
  kForkProgram,
  kResourceLimits,
  kFilter,
  kExec,
};
const char* JailStepName(JailStep step);

// What the jail's processes write to the report descriptor. A value.
struct JailReport {
  JailStep step;
  int32_t value;
  int64_t
      cpu_microseconds;  // kProgramEnded: of the program and those of its children it waited for
};

// A value: pointers to memory that the service and the jail's processes share, which doesn't change
// while the jail lives.
struct JailPlan {
  struct File {
    const char* path;  // from the new root, as in "box/main.py"
    const char* data;
    size_t size;
    mode_t mode;
  };
  const int* cgroups = nullptr;  // descriptors of cgroup.procs files
  int cgroup_count = 0;
  bool drop_user = false;  // to `user`, as user and group, and no further groups
  uid_t user = 0;
  cpu_set_t processors = {};       // that the jail's processes run on, if the system agrees
  const char* user_map = nullptr;  // what is written to uid_map and gid_map
  const char* group_map = nullptr;
  const char* root_options = nullptr;  // of the tmpfs
  const char* box_options = nullptr;
  const char* tmp_options = nullptr;
  const char* shared_folder = nullptr;  // or null
  const File* files = nullptr;
  int file_count = 0;
  char* const* argv = nullptr;
  struct Resource {
    int which;
    rlimit limit;
  };
  const Resource* resources = nullptr;
  int resource_count = 0;
  sock_fprog filter = {};
  // Become the program's 0 to 4 (the last two may be -1), and the report descriptor.
  int descriptors[5] = {-1, -1, -1, -1, -1};
  int report = -1;
};
constexpr int kJailUser = 1000;  // the program's user and group, as seen in the jail

// The setter's whole life. The first process becomes a child of its parent; it dies when the thread
// that this is a child of does.
[[noreturn]] void RunSetter(const JailPlan& plan);

}  // namespace ponder::verifier

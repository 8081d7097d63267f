// Control groups: what bounds a jail's memory, processes and CPU time, by cgroup v1 or v2.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "verifier/sandbox/program.h"

namespace ponder::verifier {

// How every group's name begins; the process id of its owner and a dash follow.
constexpr char kGroupPrefix[] = "ponder-";

// Where this machine has which controller: the folders in which groups can be made, "" for none.
// A value.
struct CgroupLayout {
  bool v2 = false;  // one folder for all; else v1 with a folder for each
  std::string memory, pids, cpuacct;
  std::string kill;  // a v2 hierarchy, for cgroup.kill alone where the limits are v1

  // Looks under `root`, which is /sys/fs/cgroup except in tests.
  static CgroupLayout Find(const std::string& root);
  // Removes the groups of processes that were killed before they could: those called
  // ponder-<process id>-... of no process that runs. Returns how many folders went.
  int RemoveLeftOvers() const;
};

// One set of groups, made once and used for one jail after the other. A machine, not thread-safe.
class Cgroup {
 public:
  // Makes the groups called `name`. Where the layout lacks a controller, its limit is not kept;
  // Missing() says which.
  static absl::StatusOr<std::unique_ptr<Cgroup>> Make(const CgroupLayout& layout,
                                                      const std::string& name);
  ~Cgroup();  // removes the groups
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;

  // Sets the limits and starts counting anew, for the next jail. The group must be empty.
  absl::Status Prepare(const Limits& limits);
  // Descriptors to which a process writes "0" to join.
  const std::vector<int>& join_descriptors() const { return join_; }
  // CPU seconds since Prepare; -1 where nothing counts them.
  double CpuSeconds() const;
  // True: since Prepare the kernel has killed a process of the group for its memory.
  bool KilledForMemory() const;
  // Kills every process in it, where there is a cgroup.kill.
  void Kill() const;

 private:
  Cgroup() = default;
  absl::Status SetMemory(int64_t bytes);
  int64_t OomKills() const;

  bool v2_ = false;
  std::string memory_, pids_, cpuacct_, kill_;
  std::vector<std::string> folders_;
  std::vector<int> join_;
  int kill_descriptor_ = -1;
  int64_t memory_limit_ = -1;
  int processes_ = -1;
  double cpu_at_start_ = 0;
  int64_t oom_kills_at_start_ = 0;
};

}  // namespace ponder::verifier

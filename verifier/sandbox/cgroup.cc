#include "verifier/sandbox/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/atomic_file.h"
#include "base/status.h"

namespace ponder::verifier {
namespace {

absl::Status WriteTo(const std::string& path, absl::string_view text) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return ErrnoStatus(errno, absl::StrCat("can't open ", path));
  const ssize_t written = write(file, text.data(), text.size());
  const int error = errno;
  close(file);
  if (written == static_cast<ssize_t>(text.size())) return absl::OkStatus();
  return ErrnoStatus(error, absl::StrCat("can't write '", text, "' to ", path));
}

std::string ReadSmall(const std::string& path) {
  std::string text;
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  char buffer[4096];
  const ssize_t got = read(file, buffer, sizeof(buffer));
  close(file);
  if (got > 0) text.assign(buffer, got);
  return text;
}

// The number after `key` in lines of "key number"; 0 where there is none.
int64_t NumberAfter(const std::string& path, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(ReadSmall(path), '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(line, ' ');
    int64_t number = 0;
    if (parts.first == key && absl::SimpleAtoi(parts.second, &number)) return number;
  }
  return 0;
}

bool Writable(const std::string& folder) { return access(folder.c_str(), W_OK | X_OK) == 0; }

}  // namespace

CgroupLayout CgroupLayout::Find(const std::string& root) {
  CgroupLayout layout;
  const std::string controllers = ReadSmall(root + "/cgroup.controllers");
  if (!controllers.empty()) {
    // Groups below the root get the controllers that its subtree_control names.
    layout.v2 = true;
    for (const char* name : {"+memory", "+pids", "+cpu"}) {
      WriteTo(root + "/cgroup.subtree_control", name).IgnoreError();
    }
    if (!Writable(root)) return layout;
    layout.kill = root;
    for (absl::string_view name :
         absl::StrSplit(ReadSmall(root + "/cgroup.subtree_control"), absl::ByAnyChar(" \n"))) {
      if (name == "memory") layout.memory = root;
      if (name == "pids") layout.pids = root;
      if (name == "cpu") layout.cpuacct = root;
    }
    return layout;
  }
  const auto usable = [&](const char* controller) {
    const std::string folder = absl::StrCat(root, "/", controller);
    return Writable(folder) ? folder : std::string();
  };
  layout.memory = usable("memory");
  layout.pids = usable("pids");
  layout.cpuacct = usable("cpuacct");
  if (layout.cpuacct.empty()) layout.cpuacct = usable("cpu,cpuacct");
  layout.kill = usable("unified");
  return layout;
}

int CgroupLayout::RemoveLeftOvers() const {
  int removed = 0;
  for (const std::string& folder : std::set<std::string>{memory, pids, cpuacct, this->kill}) {
    DIR* open = folder.empty() ? nullptr : opendir(folder.c_str());
    if (open == nullptr) continue;
    std::vector<std::string> dead;
    while (const dirent* entry = readdir(open)) {
      absl::string_view rest = entry->d_name;
      pid_t process = 0;
      if (!absl::ConsumePrefix(&rest, kGroupPrefix) ||
          !absl::SimpleAtoi(rest.substr(0, rest.find('-')), &process) || process <= 0)
        continue;
      if (::kill(process, 0) != 0 && errno == ESRCH) dead.emplace_back(entry->d_name);
    }
    closedir(open);
    for (const std::string& name : dead) removed += rmdir((folder + "/" + name).c_str()) == 0;
  }
  return removed;
}

absl::StatusOr<std::unique_ptr<Cgroup>> Cgroup::Make(const CgroupLayout& layout,
                                                     const std::string& name) {
  std::unique_ptr<Cgroup> group(new Cgroup());
  group->v2_ = layout.v2;
  absl::Status status;
  const auto make = [&](const std::string& parent) {
    if (parent.empty() || !status.ok()) return std::string();
    const std::string folder = absl::StrCat(parent, "/", name);
    for (const std::string& made : group->folders_) {
      if (made == folder) return folder;
    }
    if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
      status = ErrnoStatus(errno, absl::StrCat("can't make the control group ", folder));
      return std::string();
    }
    group->folders_.push_back(folder);
    const int join = open((folder + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
    if (join < 0) {
      status = ErrnoStatus(errno, absl::StrCat("can't open ", folder, "/cgroup.procs"));
    } else {
      group->join_.push_back(join);
    }
    return folder;
  };
  group->memory_ = make(layout.memory);
  group->pids_ = make(layout.pids);
  group->cpuacct_ = make(layout.cpuacct);
  group->kill_ = make(layout.kill);
  PONDER_RETURN_IF_ERROR(status);
  if (!group->kill_.empty()) {
    group->kill_descriptor_ = open((group->kill_ + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC);
  }
  return group;
}

Cgroup::~Cgroup() {
  for (int descriptor : join_) close(descriptor);
  if (kill_descriptor_ >= 0) close(kill_descriptor_);
  for (const std::string& folder : folders_) rmdir(folder.c_str());
}

absl::Status Cgroup::SetMemory(int64_t bytes) {
  if (memory_.empty() || bytes == memory_limit_) return absl::OkStatus();
  const std::string limit = absl::StrCat(bytes);
  if (v2_) {
    PONDER_RETURN_IF_ERROR(WriteTo(memory_ + "/memory.max", limit));
    if (access((memory_ + "/memory.swap.max").c_str(), F_OK) == 0) {
      PONDER_RETURN_IF_ERROR(WriteTo(memory_ + "/memory.swap.max", "0"));
    }
  } else {
    // Memory and swap together may never be set below memory alone, so that one is lifted first.
    const std::string with_swap = memory_ + "/memory.memsw.limit_in_bytes";
    const bool counts_swap = access(with_swap.c_str(), F_OK) == 0;
    if (counts_swap) PONDER_RETURN_IF_ERROR(WriteTo(with_swap, "-1"));
    PONDER_RETURN_IF_ERROR(WriteTo(memory_ + "/memory.limit_in_bytes", limit));
    if (counts_swap) PONDER_RETURN_IF_ERROR(WriteTo(with_swap, limit));
  }
  memory_limit_ = bytes;
  return absl::OkStatus();
}

absl::Status Cgroup::Prepare(const Limits& limits) {
  PONDER_RETURN_IF_ERROR(SetMemory(limits.memory_bytes));
  if (!pids_.empty() && limits.processes != processes_) {
    // The jail's first process is not the program's; nor is the setter, which may still be there
    // when the program starts.
    const int most = std::max(limits.processes, 2) + 1;
    PONDER_RETURN_IF_ERROR(WriteTo(pids_ + "/pids.max", absl::StrCat(most)));
    processes_ = limits.processes;
  }
  cpu_at_start_ = 0;
  cpu_at_start_ = CpuSeconds();
  oom_kills_at_start_ = OomKills();
  return absl::OkStatus();
}

double Cgroup::CpuSeconds() const {
  if (cpuacct_.empty()) return -1;
  if (v2_) return 1e-6 * NumberAfter(cpuacct_ + "/cpu.stat", "usage_usec") - cpu_at_start_;
  return 1e-9 * std::strtod(ReadSmall(cpuacct_ + "/cpuacct.usage").c_str(), nullptr) -
         cpu_at_start_;
}

int64_t Cgroup::OomKills() const {
  if (memory_.empty()) return 0;
  return NumberAfter(memory_ + (v2_ ? "/memory.events" : "/memory.oom_control"), "oom_kill");
}

bool Cgroup::KilledForMemory() const { return OomKills() > oom_kills_at_start_; }

void Cgroup::Kill() const {
  if (kill_descriptor_ >= 0 && write(kill_descriptor_, "1", 1) < 0) {
    // The jail's first process is killed besides, and all others die with it.
  }
}

}  // namespace ponder::verifier

#include "verifier/sandbox/sandbox.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <optional>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "verifier/sandbox/jail_process.h"
#include "verifier/sandbox/supervisor.h"
#include "verifier/sandbox/system_call_filter.h"

namespace ponder::verifier {
namespace {

// The pipes of one jail: 0 the program's input, 1 its output, 2 its errors, 3 the report. Closed at
// the end of its life.
class Pipes {
 public:
  ~Pipes() {
    CloseTheirs();
    for (int& end : ours_) Close(end);
  }
  absl::Status Open() {
    for (int i = 0; i < 4; ++i) {
      int ends[2];
      if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "can't make a jail's pipes");
      ours_[i] = ends[i == 0];
      theirs_[i] = ends[i != 0];
      if (fcntl(ours_[i], F_SETFL, O_NONBLOCK) != 0) return ErrnoStatus(errno, "fcntl");
    }
    return absl::OkStatus();
  }
  void CloseTheirs() {
    for (int& end : theirs_) Close(end);
  }
  int theirs(int i) const { return theirs_[i]; }
  int TakeOurs(int i) { return std::exchange(ours_[i], -1); }
  int ours(int i) const { return ours_[i]; }

 private:
  static void Close(int& end) {
    if (end >= 0) close(std::exchange(end, -1));
  }
  std::array<int, 4> ours_ = {-1, -1, -1, -1}, theirs_ = {-1, -1, -1, -1};
};

void CloseChannels(const Program& program) {
  for (int channel : {program.channel_in, program.channel_out}) {
    if (channel >= 0) close(channel);
  }
}

std::vector<JailPlan::Resource> Resources(const Limits& limits, bool memory_by_process) {
  const auto both = [](rlim_t value) { return rlimit{value, value}; };
  std::vector<JailPlan::Resource> resources = {
      {RLIMIT_CORE, both(0)},
      {RLIMIT_NOFILE, both(256)},
      {RLIMIT_FSIZE, both(limits.file_bytes)},
      {RLIMIT_STACK, both(std::min<int64_t>(64 << 20, limits.memory_bytes))},
      {RLIMIT_NPROC, both(std::max(limits.processes, 2) + 1)},
      {RLIMIT_MSGQUEUE, both(0)},
      {RLIMIT_MEMLOCK, both(64 << 10)},
      {RLIMIT_CPU, both(static_cast<rlim_t>(std::ceil(limits.cpu_seconds)) + 1)}};
  if (memory_by_process) resources.push_back({RLIMIT_AS, both(limits.memory_bytes)});
  return resources;
}

constexpr size_t kPlanBytes = 64 << 20;

// Keeps the calling thread on some processors. Where the system refuses, nothing but latency is
// lost.
class OnProcessors {
 public:
  explicit OnProcessors(const cpu_set_t& processors) {
    kept_ = sched_getaffinity(0, sizeof(before_), &before_) == 0;
    sched_setaffinity(0, sizeof(processors), &processors);
  }
  ~OnProcessors() {
    if (kept_) sched_setaffinity(0, sizeof(before_), &before_);
  }
  OnProcessors(const OnProcessors&) = delete;
  OnProcessors& operator=(const OnProcessors&) = delete;

 private:
  cpu_set_t before_;
  bool kept_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Sandbox>> Sandbox::Make(const Options& options) {
  PONDER_CHECK(options.slots >= 2, "a pair of jails needs two slots");
  std::unique_ptr<Sandbox> sandbox(new Sandbox(options));
  std::vector<std::string> missing;
  sandbox->drop_user_ = geteuid() == 0;
  if (!sandbox->drop_user_) missing.push_back("users of their own (needs root)");
  sandbox->layout_ = CgroupLayout::Find(options.cgroup_root);
  if (sandbox->layout_.memory.empty()) missing.push_back("the memory control group");
  if (sandbox->layout_.pids.empty()) missing.push_back("the pids control group");
  if (sandbox->layout_.cpuacct.empty()) missing.push_back("the cpu control group");
  sandbox->missing_ = absl::StrJoin(missing, ", ");
  if (!missing.empty() && !options.accept_missing_layers) {
    return absl::FailedPreconditionError(
        absl::StrCat("no sandbox for programs here; missing: ", sandbox->missing_, " (",
                     options.cgroup_root, " must be writable, and it takes root)"));
  }
  sandbox->layout_.RemoveLeftOvers();
  sandbox->FindProcessors();
  PONDER_ASSIGN_OR_RETURN(sandbox->filter_, BuildSystemCallFilter());
  PONDER_RETURN_IF_ERROR(sandbox->AddSlots());
  PONDER_ASSIGN_OR_RETURN(sandbox->starter_, JailStarter::Make(sandbox->all_but_first_));
  return sandbox;
}

void Sandbox::FindProcessors() {
  sched_getaffinity(0, sizeof(processors_), &processors_);
  all_but_first_ = processors_;
  // Where nothing tells how long programs wait for a processor, crowding them would make them late.
  if (CPU_COUNT(&processors_) < 2 || access(kStallsFile, R_OK) != 0) return;
  int first = 0;
  while (!CPU_ISSET(first, &processors_)) ++first;
  CPU_CLR(first, &all_but_first_);
}

absl::Status Sandbox::AddSlots() {
  static std::atomic<int> sandboxes{0};
  const int number = sandboxes++;
  for (int i = 0; i < options_.slots; ++i) {
    Slot& slot = slots_.emplace_back();
    slot.user = options_.first_user + i;
    PONDER_RETURN_IF_ERROR(slot.plan.Map(kPlanBytes));
    PONDER_ASSIGN_OR_RETURN(slot.cgroup, Cgroup::Make(layout_, absl::StrCat(kGroupPrefix, getpid(),
                                                                            "-", number, "-", i)));
    absl::MutexLock lock(&mutex_);
    free_.push_back(&slot);
  }
  return absl::OkStatus();
}

Sandbox::~Sandbox() = default;

std::vector<Sandbox::Slot*> Sandbox::Take(int count, absl::Time deadline) {
  struct Wanted {
    const std::vector<Slot*>* free;
    size_t count;
  };
  absl::MutexLock lock(&mutex_);
  const Wanted wanted = {&free_, static_cast<size_t>(count)};
  const auto enough = +[](const Wanted* w) { return w->free->size() >= w->count; };
  if (!AwaitUntil(mutex_, absl::Condition(enough, &wanted), deadline)) return {};
  const std::vector<Slot*> taken(free_.end() - count, free_.end());
  free_.resize(free_.size() - count);
  return taken;
}

void Sandbox::Return(const std::vector<Slot*>& slots) {
  absl::MutexLock lock(&mutex_);
  free_.insert(free_.end(), slots.begin(), slots.end());
}

absl::StatusOr<RunResult> Sandbox::Run(const Program& program, absl::Time deadline, int stop) {
  const std::vector<Slot*> slots = Take(1, deadline);
  if (slots.empty()) {
    CloseChannels(program);
    return absl::DeadlineExceededError("no jail became free in time");
  }
  const auto give_back = absl::MakeCleanup([&] { Return(slots); });
  return RunIn(*slots[0], program, stop, deadline);
}

Sandbox::PairResult Sandbox::RunPair(const Program& first, const Program& second,
                                     absl::Time deadline) {
  const std::vector<Slot*> slots = Take(2, deadline);
  if (slots.empty()) {
    CloseChannels(first);
    CloseChannels(second);
    const absl::Status late = absl::DeadlineExceededError("no jails became free in time");
    return {late, late};
  }
  const auto give_back = absl::MakeCleanup([&] { Return(slots); });
  PairResult result = {absl::UnknownError(""), absl::UnknownError("")};
  const int second_ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (second_ended < 0) {
    CloseChannels(first);
    CloseChannels(second);
    return {ErrnoStatus(errno, "eventfd"), ErrnoStatus(errno, "eventfd")};
  }
  std::thread other([&] {
    result.second = RunIn(*slots[1], second, -1, deadline);
    eventfd_write(second_ended, 1);
  });
  result.first = RunIn(*slots[0], first, second_ended, deadline);
  other.join();
  close(second_ended);
  return result;
}

absl::StatusOr<JailPlan*> Sandbox::LayOut(Slot& slot, const Program& program) const {
  SharedArena& arena = slot.plan;
  arena.Clear();
  bool all = true;
  const auto text = [&](absl::string_view from) {
    char* const to = arena.CopyText(from);
    all &= to != nullptr;
    return to;
  };
  const auto copy = [&](const auto& from) {
    auto* const to = arena.Copy(from.data(), from.size());
    all &= to != nullptr;
    return to;
  };
  JailPlan plan;
  plan.cgroups = slot.cgroup->join_descriptors().data();
  plan.cgroup_count = static_cast<int>(slot.cgroup->join_descriptors().size());
  plan.drop_user = drop_user_;
  plan.user = slot.user;
  const auto map_of = [&](int id) {
    return text(absl::StrCat(kJailUser, " ", drop_user_ ? slot.user : id, " 1"));
  };
  plan.user_map = map_of(static_cast<int>(geteuid()));
  plan.group_map = map_of(static_cast<int>(getegid()));
  std::vector<JailPlan::File> files;
  int64_t box_bytes = 1 << 16;
  for (const JailFile& file : program.files) {
    files.push_back({text(absl::StrCat("box/", file.name)), text(file.contents),
                     file.contents.size(), static_cast<mode_t>(file.executable ? 0555 : 0444)});
    box_bytes += file.contents.size() + 8192;
  }
  plan.files = copy(files);
  plan.file_count = static_cast<int>(files.size());
  plan.root_options = "mode=755,nr_inodes=64,size=1m";
  plan.box_options = text(absl::StrCat("mode=755,nr_inodes=64,size=", box_bytes));
  plan.tmp_options =
      text(absl::StrCat("mode=1777,nr_inodes=4096,size=", program.limits.file_bytes));
  if (!program.shared_folder.empty()) plan.shared_folder = text(program.shared_folder);
  std::vector<char*> argv;
  for (const std::string& argument : program.argv) argv.push_back(text(argument));
  argv.push_back(nullptr);
  plan.argv = copy(argv);
  const std::vector<JailPlan::Resource> resources =
      Resources(program.limits, layout_.memory.empty());
  plan.resources = copy(resources);
  plan.resource_count = static_cast<int>(resources.size());
  plan.filter = {static_cast<unsigned short>(filter_.size()), copy(filter_)};
  auto* const laid_out = static_cast<JailPlan*>(arena.Allocate(sizeof(plan)));
  if (!all || laid_out == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("the program's files are too large: ", box_bytes,
                                                   " bytes; a jail has room for ", kPlanBytes));
  }
  *laid_out = plan;
  return laid_out;
}

absl::StatusOr<RunResult> Sandbox::RunIn(Slot& slot, const Program& program, int stop,
                                         absl::Time deadline) const {
  auto close_channels = absl::MakeCleanup([&] { CloseChannels(program); });
  const bool spare = options_.quick_work != nullptr && options_.quick_work->Recent();
  std::optional<OnProcessors> kept_off;
  if (spare) kept_off.emplace(all_but_first_);
  PONDER_RETURN_IF_ERROR(slot.cgroup->Prepare(program.limits));
  Pipes pipes;
  PONDER_RETURN_IF_ERROR(pipes.Open());
  PONDER_ASSIGN_OR_RETURN(JailPlan* const plan, LayOut(slot, program));
  for (int i = 0; i < 3; ++i) plan->descriptors[i] = pipes.theirs(i);
  plan->descriptors[3] = program.channel_in;
  plan->descriptors[4] = program.channel_out;
  plan->report = pipes.theirs(3);
  plan->processors = spare ? all_but_first_ : processors_;
  PONDER_ASSIGN_OR_RETURN(const pid_t setter, starter_->Start(*plan));
  pipes.CloseTheirs();
  std::move(close_channels).Invoke();
  // The supervisor closes the input when all of it is written.
  return Supervise(setter, {pipes.TakeOurs(0), pipes.ours(1), pipes.ours(2), pipes.ours(3)},
                   program, *slot.cgroup, stop, deadline);
}

}  // namespace ponder::verifier

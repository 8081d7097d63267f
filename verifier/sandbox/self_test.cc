#include "verifier/sandbox/self_test.h"

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace ponder::verifier {
namespace {

// Prints a line for each thing that it can do and should not.
constexpr absl::string_view kProbe = R"py(
import os, socket, sys
def status(key):
    for line in open("/proc/self/status"):
        if line.startswith(key + ":"):
            return line.split(":")[1].split()
for key in "CapInh CapPrm CapEff CapBnd CapAmb".split():
    if int(status(key)[0], 16):
        print("has capabilities:", key)
if status("NoNewPrivs") != ["1"]: print("may gain privileges")
if status("Seccomp") != ["2"]: print("has no system call filter")
if os.getuid() == 0 or os.geteuid() == 0: print("is root")
inside, outside, count = map(int, open("/proc/self/uid_map").read().split())
if inside == 0 or count != 1: print("maps more than its user")
if any(g not in (1000, 65534) for g in os.getgroups()): print("has groups", os.getgroups())
if os.environ.keys() - {"LC_CTYPE"}: print("has an environment")
processes = [int(p) for p in os.listdir("/proc") if p.isdigit()]
if len(processes) > 2: print("sees processes", processes)
for name, flags in (("mem", os.O_RDONLY), ("mem", os.O_WRONLY), ("environ", os.O_RDONLY),
                    ("maps", os.O_RDONLY), ("oom_score_adj", os.O_WRONLY), ("fd/0", os.O_RDONLY),
                    ("cwd/x", os.O_RDONLY), ("root/x", os.O_RDONLY)):
    try:
        os.read(os.open("/proc/1/" + name, flags), 1)
        print("opens /proc/1/" + name)
    except PermissionError: pass
    except OSError as e:
        print("gets at /proc/1/" + name, e)
for path in ("/x", "/usr/x", "/etc/x", "/box/x", "/dev/x", "/proc/sys/kernel/core_pattern",
             "/proc/sysrq-trigger", "/box/main.py"):
    try:
        os.open(path, os.O_WRONLY | os.O_CREAT)
        print("writes", path)
    except OSError: pass
allowed = {"usr", "dev", "proc", "tmp", "box", "etc", "bin", "sbin", "lib", "lib64"}
if set(os.listdir("/")) - allowed: print("sees", os.listdir("/"))
if os.listdir("/etc") or len(os.listdir("/dev")) > 10: print("sees more of /etc or /dev")
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET):
    try:
        socket.socket(family, socket.SOCK_DGRAM)
        print("makes sockets of family", family)
    except OSError: pass
for path in ("/usr/bin/unshare",):
    if os.path.exists(path) and os.fork() == 0:
        os.close(2)
        os.execv(path, [path, "-U", "/bin/echo", "makes user namespaces"])
    elif os.path.exists(path): os.wait()
import resource
if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0): print("dumps core")
for fd in range(3, 256):
    try:
        os.fstat(fd)
        if os.readlink("/proc/self/fd/%d" % fd) != "/box/main.py": print("inherits descriptor", fd)
    except OSError: pass
)py";

struct Bound {
  const char* program;
  RunResult::End end;
  const char* what;
};
constexpr Bound kBounds[] = {
    {"x = []\nwhile True: x.append(bytearray(1 << 20))", RunResult::End::kMemoryLimit, "memory"},
    {"import os\nfor i in range(2): os.fork()\nwhile True: pass", RunResult::End::kCpuLimit,
     "CPU time of all processes"},
    {"import time\ntime.sleep(1000)", RunResult::End::kWallLimit, "wall clock"},
    {"import os\nwhile True: os.write(1, b'x' * 65536)", RunResult::End::kOutputLimit, "output"},
};

constexpr absl::string_view kForks = R"py(
import os
alive = 0
try:
    while alive < 1000:
        if os.fork() == 0:
            os.setsid()
            os.read(0, 1)
            os._exit(0)
        alive += 1
except OSError: pass
print(alive)
)py";

// How long the trial may go on.
struct Patience {
  absl::Time deadline;
  int stop;
};

absl::StatusOr<RunResult> RunScript(Sandbox& sandbox, absl::string_view source,
                                    const Limits& limits, const Patience& patience) {
  Program program;
  program.argv = {"/usr/bin/python3", "-I", "-S", "-E", "/box/main.py"};
  program.files = {{"main.py", source, false}};
  program.limits = limits;
  auto result = sandbox.Run(program, patience.deadline, patience.stop);
  if (result.ok() && result->end == RunResult::End::kStopped) {
    return absl::CancelledError("the trial of the sandbox was stopped");
  }
  return result;
}

absl::Status Fails(absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat("the sandbox does not hold: ", what));
}

absl::Status CheckProbe(Sandbox& sandbox, const Patience& patience) {
  Limits limits;
  limits.cpu_seconds = 5;
  PONDER_ASSIGN_OR_RETURN(const RunResult probe, RunScript(sandbox, kProbe, limits, patience));
  if (!probe.Succeeded()) {
    return Fails(absl::StrCat("the probe did not run to its end; is python3 installed? exit code ",
                              probe.exit_code, ", signal ", probe.signal, "; ",
                              probe.error_output.substr(0, 500)));
  }
  if (!probe.output.empty()) {
    return Fails(absl::StrCat("a jailed program ", absl::StripSuffix(probe.output, "\n")));
  }
  return absl::OkStatus();
}

absl::Status CheckForks(Sandbox& sandbox, const Patience& patience) {
  Limits limits;
  limits.cpu_seconds = 5;
  limits.processes = 16;
  PONDER_ASSIGN_OR_RETURN(const RunResult forks, RunScript(sandbox, kForks, limits, patience));
  if (!forks.Succeeded() || std::stoi("0" + forks.output) >= limits.processes) {
    return Fails(absl::StrCat("a jailed program made ", forks.output, " processes, allowed are ",
                              limits.processes));
  }
  return absl::OkStatus();
}

absl::Status CheckBound(Sandbox& sandbox, const Bound& bound, const Patience& patience) {
  Limits limits;
  limits.memory_bytes = 48 << 20;
  limits.cpu_seconds = limits.wall_seconds = 0.2;
  limits.output_bytes = 1 << 20;
  Limits these = limits;
  if (bound.end != RunResult::End::kWallLimit) these.wall_seconds = 20;
  if (bound.end == RunResult::End::kMemoryLimit) these.cpu_seconds = 20;
  if (bound.end == RunResult::End::kOutputLimit) these.cpu_seconds = 20;
  PONDER_ASSIGN_OR_RETURN(const RunResult result,
                          RunScript(sandbox, bound.program, these, patience));
  return result.end == bound.end ? absl::OkStatus()
                                 : Fails(absl::StrCat("the bound on ", bound.what));
}

}  // namespace

absl::Status SelfTest(Sandbox& sandbox, absl::Time deadline, int stop) {
  const Patience patience = {deadline, stop};
  std::vector<std::function<absl::Status()>> checks = {
      [&] { return CheckProbe(sandbox, patience); }, [&] { return CheckForks(sandbox, patience); }};
  for (const Bound& bound : kBounds) {
    if (!sandbox.missing_layers().empty()) break;
    checks.emplace_back([&] { return CheckBound(sandbox, bound, patience); });
  }
  std::vector<absl::Status> found(checks.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < checks.size(); ++i) {
    threads.emplace_back([&, i] { found[i] = checks[i](); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : found) PONDER_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

}  // namespace ponder::verifier

// Watches one jail from outside: feeds its input, drains its output, keeps its limits, ends it.
#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "verifier/sandbox/cgroup.h"
#include "verifier/sandbox/program.h"

namespace ponder::verifier {

// Tells how long tasks of this machine waited for a processor; not on every kernel. Such time is
// not counted as a program's wall clock.
inline constexpr char kStallsFile[] = "/proc/pressure/cpu";

// The caller's ends of a jail's pipes, non-blocking. Supervise closes `input`, the
// caller the others. A value.
struct JailPipes {
  int input = -1, output = -1, error = -1, report = -1;
};

// Until the program's main process has ended, a limit is passed or it is past the deadline; then
// kills everything in the jail and waits for it. `setter` is JailStarter's; `stop` is a descriptor
// or -1: once it is readable, the program has a tenth of a second left. Errors as of Sandbox::Run.
absl::StatusOr<RunResult> Supervise(pid_t setter, JailPipes pipes, const Program& program,
                                    const Cgroup& cgroup, int stop, absl::Time deadline);

}  // namespace ponder::verifier

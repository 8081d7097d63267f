// The system calls that a jailed program may not make.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "absl/status/statusor.h"

namespace ponder::verifier {

// A seccomp filter, ready to be installed: everything is allowed but what reaches into other
// processes, the kernel's rarely used interfaces, new namespaces and mounts, and sockets other than
// local ones. The refused calls fail with EPERM (clone3 with ENOSYS, so that libraries fall back to
// clone, whose flags a filter can see); calls of another architecture kill. Internal: libseccomp
// can't build it.
absl::StatusOr<std::vector<sock_filter>> BuildSystemCallFilter();

}  // namespace ponder::verifier

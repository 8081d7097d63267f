// The twin of nccl_group.cc for a build without NCCL.
#include "comm/group.h"

namespace ponder::comm {

absl::StatusOr<std::unique_ptr<Group>> MakeNcclGroup(Group& bootstrap,
                                                     const GroupOptions& options) {
  return absl::UnavailableError(
      "this build has no NCCL; configure it with -DCMAKE_PREFIX_PATH=<CUDA toolkit with NCCL>");
}

}  // namespace ponder::comm

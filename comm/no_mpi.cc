// The twin of mpi_group.cc for a build without MPI.
#include "comm/group.h"

namespace ponder::comm {

absl::StatusOr<std::unique_ptr<Group>> MakeMpiGroup(const GroupOptions& options) {
  return absl::UnavailableError(
      "this build has no MPI; install its headers (Debian: libopenmpi-dev) and build again");
}

}  // namespace ponder::comm

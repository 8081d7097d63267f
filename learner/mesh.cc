#include "learner/mesh.h"

#include "base/status.h"

namespace ponder::learner {

absl::StatusOr<Mesh> MakeMesh(std::unique_ptr<comm::Group> world, int expert_parallel) {
  const int ranks = world->size();
  if (expert_parallel < 1 || ranks % expert_parallel != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "learner.expert_parallel is ", expert_parallel, ", which does not divide the ", ranks,
        " learner rank", ranks == 1 ? "" : "s", "; set learner.ranks to a multiple of it"));
  }
  const int rank = world->rank();
  PONDER_ASSIGN_OR_RETURN(auto expert, world->Split(rank / expert_parallel));
  PONDER_ASSIGN_OR_RETURN(auto expert_data, world->Split(rank % expert_parallel));
  return Mesh{std::move(world), std::move(expert), std::move(expert_data)};
}

}  // namespace ponder::learner

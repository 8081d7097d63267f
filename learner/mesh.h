// Mesh: the learner's ranks as a grid, data parallel x expert parallel. A value that owns its
// groups.
//
//   world        every rank; each trains its own share of the sequences: gradients of dense
//   parameters are summed over it expert       `expert_parallel` neighbouring ranks that together
//   hold all experts; the MoE layers exchange tokens in it expert_data  the ranks that hold the
//   same experts: gradients of expert parameters are summed over it
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "comm/group.h"

namespace ponder::learner {

struct Mesh {
  std::unique_ptr<comm::Group> world;
  std::unique_ptr<comm::Group> expert;
  std::unique_ptr<comm::Group> expert_data;
};

// InvalidArgument: expert_parallel does not divide the size of `world`. Collective.
absl::StatusOr<Mesh> MakeMesh(std::unique_ptr<comm::Group> world, int expert_parallel);

}  // namespace ponder::learner

// ExpertExchange: takes rows sorted by expert to the ranks that own the experts, and the results
// back. Dropless.
//
// Rank r owns experts [r * E / size, (r + 1) * E / size). An owner sees its rows ordered by
// (expert, sender, sender's order).
#pragma once

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "comm/group.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

// Who sends what in one MoE layer for one batch. A value.
struct ExpertRoute {
  std::vector<int64_t> sent;      // [ranks]: rows that this rank sends to each
  std::vector<int64_t> received;  // [ranks]: rows that arrive from each
  std::vector<int64_t>
      offsets;  // [owned experts + 1]: rows of an owned expert, in the owner's order
  std::vector<int32_t> arrival_of;  // [owned rows]: where a row of the owner's order arrived
  std::vector<int32_t> owned_of;    // its inverse
};

// A machine; every method but the constructor is a collective.
class ExpertExchange {
 public:
  // `group` and `workspace` outlive it; group.size() divides num_experts.
  ExpertExchange(comm::Group& group, int64_t num_experts, Workspace& workspace);

  // offsets [E + 1] as SortByExpert gives them.
  absl::StatusOr<ExpertRoute> Plan(absl::Span<const int64_t> offsets);
  // [sent rows, H], sorted by expert -> [owned rows, H].
  absl::StatusOr<at::Tensor> ToOwners(const ExpertRoute& route, const at::Tensor& rows);
  // [owned rows, H] -> [sent rows, H].
  absl::StatusOr<at::Tensor> ToSenders(const ExpertRoute& route, const at::Tensor& rows);

 private:
  comm::Group& group_;
  const int64_t num_experts_;
  Workspace& workspace_;
};

}  // namespace ponder::moe

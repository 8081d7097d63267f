// See expert_exchange.h.
#include "moe/layers/expert_exchange.h"

#include <ATen/ATen.h>

#include "base/check.h"
#include "base/status.h"
#include "moe/kernels/routing.h"

namespace ponder::moe {
namespace {

std::vector<int64_t> Scaled(const std::vector<int64_t>& counts, int64_t factor) {
  std::vector<int64_t> scaled = counts;
  for (int64_t& count : scaled) count *= factor;
  return scaled;
}

}  // namespace

ExpertExchange::ExpertExchange(comm::Group& group, int64_t num_experts, Workspace& workspace)
    : group_(group), num_experts_(num_experts), workspace_(workspace) {
  PONDER_CHECK(num_experts % group.size() == 0, num_experts, " experts, ", group.size(), " ranks");
}

absl::StatusOr<ExpertRoute> ExpertExchange::Plan(absl::Span<const int64_t> offsets) {
  const int ranks = group_.size();
  const int64_t owned = num_experts_ / ranks;
  std::vector<int64_t> mine(num_experts_);
  for (int64_t e = 0; e < num_experts_; ++e) mine[e] = offsets[e + 1] - offsets[e];
  std::vector<int64_t> all(num_experts_ * ranks);  // [sender, expert]
  PONDER_RETURN_IF_ERROR(Annotate(
      group_.AllGather(
          absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(mine.data()),
                              mine.size() * sizeof(int64_t)),
          absl::MakeSpan(reinterpret_cast<uint8_t*>(all.data()), all.size() * sizeof(int64_t))),
      "exchanging expert counts"));

  ExpertRoute route;
  const int64_t first = group_.rank() * owned;
  route.sent.assign(ranks, 0);
  route.received.assign(ranks, 0);
  for (int64_t e = 0; e < num_experts_; ++e) route.sent[e / owned] += mine[e];
  // Where the block of (sender, expert) arrives: senders in order, each sorted by expert.
  std::vector<int64_t> arrival(ranks * owned);
  int64_t rows = 0;
  for (int r = 0; r < ranks; ++r) {
    for (int64_t e = 0; e < owned; ++e) {
      const int64_t count = all[r * num_experts_ + first + e];
      arrival[r * owned + e] = rows;
      route.received[r] += count;
      rows += count;
    }
  }
  route.arrival_of.reserve(rows);
  route.owned_of.resize(rows);
  route.offsets.push_back(0);
  for (int64_t e = 0; e < owned; ++e) {
    for (int r = 0; r < ranks; ++r) {
      const int64_t count = all[r * num_experts_ + first + e];
      for (int64_t i = 0; i < count; ++i) {
        const int64_t from = arrival[r * owned + e] + i;
        route.owned_of[from] = static_cast<int32_t>(route.arrival_of.size());
        route.arrival_of.push_back(static_cast<int32_t>(from));
      }
    }
    route.offsets.push_back(route.arrival_of.size());
  }
  return route;
}

absl::StatusOr<at::Tensor> ExpertExchange::ToOwners(const ExpertRoute& route,
                                                    const at::Tensor& rows) {
  const int64_t h = rows.size(1);
  const int64_t owned = route.arrival_of.size();
  const at::Tensor arrived = workspace_.activations.New({owned, h});
  PONDER_RETURN_IF_ERROR(Annotate(
      group_.AllToAll(
          absl::MakeConstSpan(rows.data_ptr<float>(), rows.numel()), Scaled(route.sent, h),
          absl::MakeSpan(arrived.data_ptr<float>(), arrived.numel()), Scaled(route.received, h)),
      "sending rows to their experts"));
  at::Tensor sorted = workspace_.activations.New({owned, h});
  kernels::GatherRows(workspace_.pool, arrived.data_ptr<float>(), route.arrival_of.data(), owned, h,
                      sorted.data_ptr<float>());
  return sorted;
}

absl::StatusOr<at::Tensor> ExpertExchange::ToSenders(const ExpertRoute& route,
                                                     const at::Tensor& rows) {
  const int64_t h = rows.size(1);
  const int64_t owned = route.owned_of.size();
  const at::Tensor arrived = workspace_.activations.New({owned, h});
  kernels::GatherRows(workspace_.pool, rows.data_ptr<float>(), route.owned_of.data(), owned, h,
                      arrived.data_ptr<float>());
  int64_t sent = 0;
  for (int64_t count : route.sent) sent += count;
  at::Tensor results = workspace_.activations.New({sent, h});
  PONDER_RETURN_IF_ERROR(
      Annotate(group_.AllToAll(absl::MakeConstSpan(arrived.data_ptr<float>(), arrived.numel()),
                               Scaled(route.received, h),
                               absl::MakeSpan(results.data_ptr<float>(), results.numel()),
                               Scaled(route.sent, h)),
               "sending rows back from their experts"));
  return results;
}

}  // namespace ponder::moe

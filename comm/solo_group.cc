// The group of one: every operation is the identity.
#include <algorithm>
#include <memory>

#include "base/status.h"
#include "comm/arguments.h"
#include "comm/group.h"

namespace ponder::comm {
namespace {

class SoloGroup final : public Group {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }

  absl::Status Barrier() override { return absl::OkStatus(); }
  absl::Status Broadcast(absl::Span<uint8_t> bytes, int root) override {
    return CheckRoot(root, 1);
  }
  absl::Status AllReduceSum(absl::Span<float> x) override { return absl::OkStatus(); }
  absl::Status AllReduceSum(absl::Span<double> x) override { return absl::OkStatus(); }

  absl::Status AllGather(absl::Span<const uint8_t> in, absl::Span<uint8_t> out) override {
    PONDER_RETURN_IF_ERROR(CheckAllGather(in.size(), out.size(), 1));
    std::copy(in.begin(), in.end(), out.begin());
    return absl::OkStatus();
  }

  absl::Status AllToAll(absl::Span<const float> in, absl::Span<const int64_t> send_counts,
                        absl::Span<float> out, absl::Span<const int64_t> recv_counts) override {
    PONDER_RETURN_IF_ERROR(
        CheckAllToAll(in.size(), send_counts, out.size(), recv_counts, /*rank=*/0, /*size=*/1));
    std::copy(in.begin(), in.end(), out.begin());
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Group>> Split(int color) override {
    PONDER_RETURN_IF_ERROR(CheckColor(color));
    return MakeSoloGroup();
  }
};

}  // namespace

std::unique_ptr<Group> MakeSoloGroup() { return std::make_unique<SoloGroup>(); }

}  // namespace ponder::comm

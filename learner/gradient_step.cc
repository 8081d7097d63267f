#include "learner/gradient_step.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ATen/core/Tensor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/status.h"
#include "moe/kernels/optimizer.h"

namespace ponder::learner {
namespace {

// Nothing to sum is no collective.
absl::Status SumOver(comm::Group& group, absl::Span<float> gradients) {
  return gradients.empty() ? absl::OkStatus() : group.AllReduceSum(gradients);
}

}  // namespace

GradientStep::GradientStep(const Options& options, moe::Decoder& decoder, const Mesh& mesh)
    : options_(options), decoder_(decoder), mesh_(mesh) {}

void GradientStep::UseAdapters(std::unique_ptr<LoraAdapters> lora) {
  PONDER_CHECK(optimizer_ == nullptr, "the optimizer has begun with other parameters");
  lora_ = std::move(lora);
}

AdamW& GradientStep::optimizer() {
  if (optimizer_ == nullptr) {
    optimizer_ = std::make_unique<AdamW>(
        options_.adamw, lora_ != nullptr ? lora_->parameters() : decoder_.parameters(),
        decoder_.pool());
  }
  return *optimizer_;
}

void GradientStep::Begin() {
  decoder_.ZeroGradients();
  if (lora_ != nullptr) lora_->ZeroGradients();
}

absl::StatusOr<double> GradientStep::Sum() {
  if (mesh_.world->size() > 1) {
    PONDER_RETURN_IF_ERROR(SumOver(*mesh_.world, decoder_.replicated_gradients()));
    PONDER_RETURN_IF_ERROR(SumOver(*mesh_.expert_data, decoder_.expert_gradients()));
    if (lora_ != nullptr) PONDER_RETURN_IF_ERROR(SumOver(*mesh_.world, lora_->gradients()));
  }
  const auto sum_of_squares = [this](absl::Span<const float> values) {
    return kernels::SumOfSquares(decoder_.pool(), values);
  };
  if (lora_ != nullptr) {
    double sum = 0;
    for (const moe::Parameter& parameter : lora_->parameters()) {
      const at::Tensor& gradient = parameter.tensor.grad();
      sum += sum_of_squares({gradient.data_ptr<float>(), static_cast<size_t>(gradient.numel())});
    }
    return std::sqrt(sum);
  }
  double experts = sum_of_squares(decoder_.expert_gradients());
  PONDER_RETURN_IF_ERROR(mesh_.expert->AllReduceSum(absl::MakeSpan(&experts, 1)));
  return std::sqrt(sum_of_squares(decoder_.replicated_gradients()) + experts);
}

absl::Status GradientStep::Apply(double loss, double grad_norm, double lr) {
  if (!std::isfinite(grad_norm) || !std::isfinite(loss)) {
    return absl::InternalError(absl::StrCat(
        "loss ", loss, " or gradient norm ", grad_norm, " is not finite at learning rate ", lr,
        "; the weights were left as they were; lower the learning rate"));
  }
  optimizer().Step(lr, std::min(1.0, options_.max_grad_norm / (grad_norm + 1e-6)));
  if (lora_ != nullptr) lora_->Merge();
  decoder_.WeightsChanged();
  return absl::OkStatus();
}

}  // namespace ponder::learner

#include "learner/value_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/status.h"

namespace ponder::learner {

absl::StatusOr<moe::Model> WithScalarHead(const moe::Model& policy) {
  moe::Model scalar;
  scalar.config = policy.config;
  scalar.config.scalar_head = true;
  WeightManifest layout = scalar.config.Layout();
  auto blob = std::make_shared<std::vector<uint8_t>>(layout.total_bytes, 0);
  for (const TensorSpec& spec : layout.tensors) {
    const auto values = policy.weights->F32(spec.name);
    if (absl::IsNotFound(values.status())) continue;  // the head
    PONDER_RETURN_IF_ERROR(values.status());
    std::memcpy(blob->data() + spec.begin, values->data(), spec.end - spec.begin);
  }
  moe::ComputeChecksums(*blob, &layout);
  PONDER_ASSIGN_OR_RETURN(scalar.weights, moe::Weights::Make(std::move(layout), std::move(blob)));
  return scalar;
}

double ValueLoss(absl::Span<const float> values, absl::Span<const float> old,
                 absl::Span<const float> returns, double clip, double tokens,
                 absl::Span<float> gradient) {
  double loss = 0;
  for (size_t t = 0; t < values.size(); ++t) {
    const double error = double{values[t]} - returns[t];
    const double low = old[t] - clip;
    const double high = old[t] + clip;
    const double held = clip > 0 ? std::clamp<double>(values[t], low, high) : values[t];
    const double held_error = held - returns[t];
    // Where the clipped error is the larger one, moving the value changes nothing.
    const bool flat = held_error * held_error > error * error;
    loss += (flat ? held_error * held_error : error * error) / (2 * tokens);
    gradient[t] = flat ? 0.f : static_cast<float>(error / tokens);
  }
  return loss;
}

absl::StatusOr<std::vector<float>> ValueModel::Predict(const PolicyBatch& batch) {
  return ForwardValues({options_.max_tokens_per_microbatch, 1}, batch, decoder_, mesh_);
}

absl::StatusOr<ValueModel::Report> ValueModel::Update(const PolicyBatch& batch,
                                                      absl::Span<const int64_t> chosen, double lr) {
  double tokens = 0;
  for (const int64_t s : chosen) tokens += static_cast<double>(batch.response_length(s));
  const std::vector<MicroBatches> split =
      SplitBatch(batch, chosen, mesh_.world->size(), options_.max_tokens_per_microbatch);
  step_.Begin();
  Report report;
  for (const std::vector<int64_t>& sequences : split[mesh_.world->rank()]) {
    const SequencePack pack = PackSequences(batch, sequences);
    PONDER_ASSIGN_OR_RETURN(const at::Tensor out,
                            decoder_.ForwardValues({pack.tokens, pack.starts}, pack.rows));
    std::vector<float> old, returns, gradient(pack.places.size());
    for (const int64_t place : pack.places) {
      old.push_back(batch.values[place]);
      returns.push_back(batch.returns[place]);
    }
    report.loss += ValueLoss({out.data_ptr<float>(), old.size()}, old, returns, options_.clip,
                             tokens, absl::MakeSpan(gradient));
    const at::Tensor slope = at::from_blob(gradient.data(), {static_cast<int64_t>(gradient.size())},
                                           at::ScalarType::Float);
    PONDER_RETURN_IF_ERROR(decoder_.Backward((out * slope).sum()));
  }
  PONDER_ASSIGN_OR_RETURN(report.grad_norm, step_.Sum());
  PONDER_RETURN_IF_ERROR(mesh_.world->AllReduceSum(absl::MakeSpan(&report.loss, 1)));
  PONDER_RETURN_IF_ERROR(step_.Apply(report.loss, report.grad_norm, lr));
  decoder_.TakeRouterStats();
  return report;
}

}  // namespace ponder::learner

// See shared_value.h.
#include "learner/shared_value.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "learner/forward.h"
#include "learner/tensor_file.h"

namespace ponder::learner {
namespace {

moe::Parameter ZeroHead(int64_t hidden_size) {
  moe::Parameter head{moe::kScalarHeadWeight, at::zeros({1, hidden_size}), false};
  head.tensor.set_requires_grad(true);
  head.tensor.mutable_grad() = at::zeros({1, hidden_size});
  return head;
}

absl::Span<float> Flat(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

}  // namespace

SharedValue::SharedValue(const Options& options, moe::Decoder& decoder, const Mesh& mesh)
    : options_(options),
      decoder_(decoder),
      mesh_(mesh),
      head_(ZeroHead(decoder.config().hidden_size)),
      optimizer_(options.step.adamw, absl::MakeConstSpan(&head_, 1), decoder.pool()) {}

absl::StatusOr<std::vector<float>> SharedValue::Predict(const PolicyBatch& batch) {
  return ForwardHeadValues({options_.max_tokens_per_microbatch, 1, options_.replay}, batch,
                           decoder_, head_.tensor, mesh_);
}

double SharedValue::PackLoss(const PolicyBatch& batch, const SequencePack& pack,
                             absl::Span<const float> values, std::vector<float>* gradient) const {
  std::vector<float> old, returns;
  for (const int64_t place : pack.places) {
    old.push_back(batch.values[place]);
    returns.push_back(batch.returns[place]);
  }
  gradient->resize(values.size());
  return ValueLoss(values, old, returns, options_.clip, tokens_, absl::MakeSpan(*gradient));
}

void SharedValue::Begin(const PolicyBatch& batch, absl::Span<const int64_t> chosen) {
  head_.tensor.grad().zero_();
  tokens_ = 0;
  loss_ = 0;
  for (const int64_t s : chosen) tokens_ += static_cast<double>(batch.response_length(s));
}

at::Tensor SharedValue::Loss(const PolicyBatch& batch, const SequencePack& pack,
                             const at::Tensor& hidden) {
  const at::Tensor values = hidden.mv(head_.tensor.view(-1));
  std::vector<float> gradient;
  loss_ += PackLoss(batch, pack, Flat(values), &gradient);
  const at::Tensor slope =
      at::from_blob(gradient.data(), {static_cast<int64_t>(gradient.size())}, at::kFloat) *
      options_.coef;
  return (values * slope).sum();
}

absl::StatusOr<ValueModel::Report> SharedValue::Sum() {
  PONDER_RETURN_IF_ERROR(mesh_.world->AllReduceSum(Flat(head_.tensor.grad())));
  PONDER_RETURN_IF_ERROR(mesh_.world->AllReduceSum(absl::MakeSpan(&loss_, 1)));
  return ValueModel::Report{loss_, head_.tensor.grad().norm().item<double>()};
}

absl::Status SharedValue::Apply(const ValueModel::Report& report, double lr) {
  if (!std::isfinite(report.loss) || !std::isfinite(report.grad_norm)) {
    return absl::InternalError(absl::StrCat("the value head's loss ", report.loss,
                                            " or gradient norm ", report.grad_norm,
                                            " is not finite; lower rl.value.lr"));
  }
  optimizer_.Step(lr, std::min(1.0, options_.step.max_grad_norm / (report.grad_norm + 1e-6)));
  return absl::OkStatus();
}

absl::StatusOr<ValueModel::Report> SharedValue::UpdateHead(const PolicyBatch& batch,
                                                           absl::Span<const int64_t> chosen,
                                                           double lr) {
  const at::NoGradGuard no_grad;
  Begin(batch, chosen);
  const std::vector<MicroBatches> split =
      SplitBatch(batch, chosen, mesh_.world->size(), options_.max_tokens_per_microbatch);
  for (const std::vector<int64_t>& sequences : split[mesh_.world->rank()]) {
    const SequencePack pack = PackSequences(batch, sequences);
    PONDER_ASSIGN_OR_RETURN(const at::Tensor hidden,
                            decoder_.ForwardHidden(PackedOf(pack, options_.replay), pack.rows));
    const at::Tensor values = hidden.mv(head_.tensor.view(-1));
    std::vector<float> gradient;
    loss_ += PackLoss(batch, pack, Flat(values), &gradient);
    const at::Tensor slope =
        at::from_blob(gradient.data(), {static_cast<int64_t>(gradient.size())}, at::kFloat);
    head_.tensor.grad().view(-1).add_(hidden.t().mv(slope));
  }
  decoder_.TakeRouterStats();
  PONDER_ASSIGN_OR_RETURN(const ValueModel::Report report, Sum());
  PONDER_RETURN_IF_ERROR(Apply(report, lr));
  return report;
}

namespace {

std::vector<NamedTensor> TensorsOf(const moe::Parameter& head, AdamW& optimizer) {
  const AdamW::Moments& moments = optimizer.moments()[0];
  return {{head.name, head.tensor.detach()},
          {absl::StrCat("exp_avg.", head.name), moments.exp_avg},
          {absl::StrCat("exp_avg_sq.", head.name), moments.exp_avg_sq}};
}

}  // namespace

moe::FolderFile SharedValue::File() { return TensorFile(TensorsOf(head_, optimizer_)); }

absl::Status SharedValue::Load(const std::string& folder, const std::string& file) {
  return ReadTensorFile(folder, file, TensorsOf(head_, optimizer_));
}

}  // namespace ponder::learner

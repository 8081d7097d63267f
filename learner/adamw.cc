#include "learner/adamw.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/check.h"

namespace ponder::learner {

AdamW::AdamW(const Options& options, absl::Span<const moe::Parameter> parameters)
    : options_(options), parameters_(parameters.begin(), parameters.end()) {
  for (const moe::Parameter& parameter : parameters_) {
    const at::Tensor& theta = parameter.tensor;
    PONDER_CHECK(theta.is_contiguous() && theta.scalar_type() == at::kFloat, parameter.name);
    moments_.push_back({at::zeros(theta.sizes()), at::zeros(theta.sizes())});
  }
}

void AdamW::Step(double lr, double grad_scale) {
  ++step_;
  const float correction1 =
      static_cast<float>(1 - std::pow(options_.beta1, static_cast<double>(step_)));
  const float sqrt_correction2 =
      static_cast<float>(std::sqrt(1 - std::pow(options_.beta2, static_cast<double>(step_))));
  const float beta1 = static_cast<float>(options_.beta1);
  const float beta2 = static_cast<float>(options_.beta2);
  const float one_minus_beta1 = static_cast<float>(1 - options_.beta1);
  const float one_minus_beta2 = static_cast<float>(1 - options_.beta2);
  const float eps = static_cast<float>(options_.eps);
  const float step_size = static_cast<float>(lr) / correction1;
  const float scale = static_cast<float>(grad_scale);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& parameter = parameters_[i].tensor;
    PONDER_CHECK(parameter.grad().defined() && parameter.grad().is_contiguous(),
                 parameters_[i].name);
    const bool decays = parameter.dim() > 1;
    const float keep = decays ? static_cast<float>(1 - lr * options_.weight_decay) : 1.f;
    float* theta = parameter.data_ptr<float>();
    const float* grad = parameter.grad().data_ptr<float>();
    float* m = moments_[i].exp_avg.data_ptr<float>();
    float* v = moments_[i].exp_avg_sq.data_ptr<float>();
    const int64_t n = parameter.numel();
    for (int64_t j = 0; j < n; ++j) {
      const float g = grad[j] * scale;
      m[j] = m[j] * beta1 + g * one_minus_beta1;
      v[j] = v[j] * beta2 + g * g * one_minus_beta2;
      const float denominator = std::sqrt(v[j]) / sqrt_correction2 + eps;
      theta[j] = theta[j] * keep - step_size * (m[j] / denominator);
    }
  }
}

}  // namespace ponder::learner

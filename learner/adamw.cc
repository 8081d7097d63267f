#include "learner/adamw.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/check.h"
#include "moe/kernels/optimizer.h"

namespace ponder::learner {

AdamW::AdamW(const Options& options, absl::Span<const moe::Parameter> parameters,
             kernels::ThreadPool& pool)
    : options_(options), parameters_(parameters.begin(), parameters.end()), pool_(pool) {
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
  kernels::AdamWArgs args;
  args.grad_scale = static_cast<float>(grad_scale);
  args.beta1 = static_cast<float>(options_.beta1);
  args.one_minus_beta1 = static_cast<float>(1 - options_.beta1);
  args.beta2 = static_cast<float>(options_.beta2);
  args.one_minus_beta2 = static_cast<float>(1 - options_.beta2);
  args.sqrt_correction2 =
      static_cast<float>(std::sqrt(1 - std::pow(options_.beta2, static_cast<double>(step_))));
  args.eps = static_cast<float>(options_.eps);
  args.step_size = static_cast<float>(lr) / correction1;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& parameter = parameters_[i].tensor;
    PONDER_CHECK(parameter.grad().defined() && parameter.grad().is_contiguous(),
                 parameters_[i].name);
    const bool decays = parameter.dim() > 1;
    args.keep = decays ? static_cast<float>(1 - lr * options_.weight_decay) : 1.f;
    args.n = parameter.numel();
    args.theta = parameter.data_ptr<float>();
    args.grad = parameter.grad().data_ptr<float>();
    args.m = moments_[i].exp_avg.data_ptr<float>();
    args.v = moments_[i].exp_avg_sq.data_ptr<float>();
    kernels::AdamWStep(pool_, args);
  }
}

}  // namespace ponder::learner

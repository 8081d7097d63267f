// AdamW (arXiv 1711.05101) over a rank's own parameters, with its state by parameter name, so that
// it can be saved and reloaded whole. The arithmetic is torch::optim::AdamW's (tests compare them).
// A machine; one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/types/span.h"
#include "moe/decoder.h"
#include "moe/kernels/thread_pool.h"

namespace ponder::learner {

class AdamW {
 public:
  struct Options {
    double beta1 = 0.9;
    double beta2 = 0.95;
    double eps = 1e-8;
    double weight_decay = 0.01;  // not applied to norms (parameters of one dimension)
  };
  struct Moments {
    at::Tensor exp_avg;  // same shape as the parameter, float32
    at::Tensor exp_avg_sq;
  };

  // Shares the parameters' storage; gradients are read from their .grad() at each step. `pool`
  // outlives it, and rests when Step is called; the bits don't depend on its threads.
  AdamW(const Options& options, absl::Span<const moe::Parameter> parameters,
        kernels::ThreadPool& pool);

  // theta <- theta - lr * wd * theta, then the Adam step with gradient grad_scale * .grad(). A
  // parameter without a gradient is an error of the caller (checked).
  void Step(double lr, double grad_scale);

  // State, in the order of the parameters: to be saved, or overwritten in place on resume.
  std::vector<Moments>& moments() { return moments_; }
  int64_t step() const { return step_; }
  void set_step(int64_t step) { step_ = step; }

 private:
  const Options options_;
  const std::vector<moe::Parameter> parameters_;
  kernels::ThreadPool& pool_;
  std::vector<Moments> moments_;
  int64_t step_ = 0;
};

}  // namespace ponder::learner

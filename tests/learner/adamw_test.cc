// Our AdamW against torch::optim::AdamW on the same parameters and gradients.
#include "learner/adamw.h"

#include <torch/torch.h>

#include <cmath>

#include "gtest/gtest.h"

namespace ponder::learner {
namespace adamw_test {

TEST(AdamW, AgreesWithLibTorch) {
  torch::manual_seed(5);
  at::Tensor matrix = torch::randn({7, 5}).requires_grad_(),
             norm = torch::randn({5}).requires_grad_();
  at::Tensor torch_matrix = matrix.detach().clone().requires_grad_(),
             torch_norm = norm.detach().clone().requires_grad_();

  AdamW::Options options;
  options.weight_decay = 0.1;
  kernels::ThreadPool pool(2);
  AdamW ours(options, {{"matrix", matrix, false}, {"norm", norm, false}}, pool);
  const auto torch_options = [&](double decay) {
    return torch::optim::AdamWOptions(3e-3).betas({0.9, 0.95}).eps(1e-8).weight_decay(decay);
  };
  torch::optim::AdamW decayed({torch_matrix}, torch_options(0.1)),
      plain({torch_norm}, torch_options(0));

  for (int step = 0; step < 50; ++step) {
    const at::Tensor matrix_grad = torch::randn({7, 5}), norm_grad = torch::randn({5});
    matrix.mutable_grad() = matrix_grad.clone();
    norm.mutable_grad() = norm_grad.clone();
    torch_matrix.mutable_grad() = matrix_grad * 0.5;
    torch_norm.mutable_grad() = norm_grad * 0.5;
    ours.Step(3e-3, 0.5);
    decayed.step();
    plain.step();
    ASSERT_LT((matrix - torch_matrix).abs().max().item<double>(), 1e-6) << "step " << step;
    ASSERT_LT((norm - torch_norm).abs().max().item<double>(), 1e-6) << "step " << step;
  }
  EXPECT_EQ(ours.step(), 50);
}

}  // namespace adamw_test
}  // namespace ponder::learner

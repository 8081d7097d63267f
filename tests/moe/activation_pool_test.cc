// Memory that is used again is never shared by two tensors, and never lost.
#include "moe/layers/activation_pool.h"

#include <ATen/ATen.h>

#include <memory>

#include "gtest/gtest.h"

namespace ponder::moe {
namespace activation_pool_test {

TEST(ActivationPool, UsesTheMemoryOfDroppedTensorsAgain) {
  ActivationPool pool;
  at::Tensor first = pool.New({10, 10});
  const float* memory = first.data_ptr<float>();
  const at::Tensor second = pool.New({10, 10});
  EXPECT_NE(second.data_ptr<float>(), memory);
  first = at::Tensor();
  const at::Tensor smaller = pool.New({9, 9});
  EXPECT_EQ(smaller.data_ptr<float>(), memory);
  EXPECT_EQ(smaller.sizes(), at::IntArrayRef({9, 9}));
}

TEST(ActivationPool, AViewKeepsTheMemory) {
  ActivationPool pool;
  at::Tensor whole = pool.Zeros({4, 8});
  const at::Tensor view = whole.narrow(0, 1, 2);
  whole = at::Tensor();
  const at::Tensor other = pool.New({4, 8});
  other.fill_(1);
  EXPECT_EQ(view.abs().max().item<float>(), 0);
}

TEST(ActivationPool, DoesNotSpendLargeBuffersOnSmallTensors) {
  ActivationPool pool;
  at::Tensor large = pool.New({1000});
  const float* memory = large.data_ptr<float>();
  large = at::Tensor();
  const at::Tensor small = pool.New({499});
  EXPECT_NE(small.data_ptr<float>(), memory);
  const at::Tensor half = pool.New({500});
  EXPECT_EQ(half.data_ptr<float>(), memory);
}

TEST(ActivationPool, ZerosAreZeroInUsedMemory) {
  ActivationPool pool;
  pool.New({64}).fill_(7);
  EXPECT_EQ(pool.Zeros({64}).abs().max().item<float>(), 0);
  EXPECT_EQ(pool.Zeros({0, 5}).numel(), 0);
}

TEST(ActivationPool, TensorsOutliveThePool) {
  auto pool = std::make_unique<ActivationPool>();
  const at::Tensor tensor = pool->Zeros({100});
  pool.reset();
  EXPECT_EQ(tensor.sum().item<float>(), 0);
}

}  // namespace activation_pool_test
}  // namespace ponder::moe

// Passes over flat parameters against plain loops: the same bits on every instruction set and with
// any number of threads.
#include "moe/kernels/optimizer.h"

#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "moe/kernels/isa/table.h"
#include "tests/moe/kernels/random_floats.h"

namespace ponder::kernels {
namespace optimizer_test {

// Around a vector, and around what a thread takes at a time.
const int64_t kLengths[] = {1, 15, 16, 33, 1000, 65536, 65537, 200003};

struct Arrays {
  explicit Arrays(int64_t n)
      : theta(RandomFloats(n, 1)), grad(RandomFloats(n, 2)), m(RandomFloats(n, 3)), v(n) {
    for (int64_t i = 0; i < n; ++i) v[i] = m[i] * m[i];
  }
  AdamWArgs Args() {
    AdamWArgs args;
    args.grad_scale = 0.7f;
    args.beta1 = 0.9f;
    args.one_minus_beta1 = 0.1f;
    args.beta2 = 0.95f;
    args.one_minus_beta2 = 0.05f;
    args.sqrt_correction2 = 0.6f;
    args.eps = 1e-8f;
    args.step_size = 3e-3f;
    args.keep = 0.999f;
    args.n = static_cast<int64_t>(theta.size());
    args.theta = theta.data();
    args.grad = grad.data();
    args.m = m.data();
    args.v = v.data();
    return args;
  }
  std::vector<float> theta, grad, m, v;
};

void PlainStep(const AdamWArgs& s) {
  for (int64_t i = 0; i < s.n; ++i) {
    const float g = s.grad[i] * s.grad_scale;
    s.m[i] = s.m[i] * s.beta1 + g * s.one_minus_beta1;
    s.v[i] = s.v[i] * s.beta2 + g * g * s.one_minus_beta2;
    const float denominator = std::sqrt(s.v[i]) / s.sqrt_correction2 + s.eps;
    s.theta[i] = s.theta[i] * s.keep - s.step_size * (s.m[i] / denominator);
  }
}

void ExpectSame(const Arrays& a, const Arrays& b, const std::string& what) {
  const int64_t n = static_cast<int64_t>(a.theta.size());
  EXPECT_TRUE(SameBits(a.theta.data(), b.theta.data(), n)) << what;
  EXPECT_TRUE(SameBits(a.m.data(), b.m.data(), n)) << what;
  EXPECT_TRUE(SameBits(a.v.data(), b.v.data(), n)) << what;
}

TEST(AdamWStep, IsThePlainLoopWhateverTheThreadsAndTheInstructions) {
  for (const int64_t n : kLengths) {
    Arrays plain(n);
    PlainStep(plain.Args());
    for (const int threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      Arrays arrays(n);
      AdamWStep(pool, arrays.Args());
      ExpectSame(arrays, plain, std::to_string(n) + ", threads: " + std::to_string(threads));
    }
    for (const char* name : {"avx512", "avx2", "generic"}) {
      const isa::KernelTable* table = isa::FindKernels(name);
      if (table == nullptr) continue;
      Arrays arrays(n);
      table->adamw(arrays.Args());
      ExpectSame(arrays, plain, std::to_string(n) + " " + name);
    }
  }
}

TEST(SumOfSquares, IsTheSumAndKeepsItsBits) {
  for (const int64_t n : kLengths) {
    std::vector<float> x = RandomFloats(n, 4);
    x[0] = 1e25f;  // its square is no float32 beside which others count
    double rest = 0;
    for (int64_t i = 1; i < n; ++i) rest += double{x[i]} * x[i];
    ThreadPool one(1);
    EXPECT_DOUBLE_EQ(SumOfSquares(one, x), double{x[0]} * x[0] + rest) << n;
    x[0] = 0;
    const double sum = SumOfSquares(one, x);
    EXPECT_NEAR(sum, rest, 1e-12 * rest) << n;
    for (const int threads : {2, 3}) {
      ThreadPool pool(threads);
      EXPECT_EQ(SumOfSquares(pool, x), sum) << n << ", threads: " << threads;
    }
    for (const char* name : {"avx512", "avx2", "generic"}) {
      const isa::KernelTable* table = isa::FindKernels(name);
      if (table == nullptr || n > 65536) continue;
      EXPECT_EQ(table->sum_of_squares_f64(x.data(), n), sum) << n << " " << name;
    }
  }
  ThreadPool pool(2);
  EXPECT_EQ(SumOfSquares(pool, {}), 0);
}

TEST(SetZero, ReachesTheEnd) {
  ThreadPool pool(2);
  for (const int64_t n : kLengths) {
    std::vector<float> x = RandomFloats(n, 5);
    SetZero(pool, absl::MakeSpan(x));
    EXPECT_EQ(x, std::vector<float>(n, 0.0f)) << n;
  }
}

}  // namespace optimizer_test
}  // namespace ponder::kernels

// Attention against the formula in double precision, gradients against its finite differences; bits
// against other chunkings, batches, threads and instruction sets. Pages are full of NaN until
// something is stored.
#include "moe/kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <ostream>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "moe/kernels/isa/table.h"
#include "tests/moe/kernels/random_floats.h"

namespace ponder::kernels {
namespace attention_test {

struct Case {
  int64_t heads, kv_heads, head_dim;
};
void PrintTo(const Case& c, std::ostream* os) {
  *os << c.heads << " heads on " << c.kv_heads << " of " << c.head_dim;
}

AttentionShape ShapeOf(const Case& c) {
  return {c.heads, c.kv_heads, c.head_dim, c.head_dim,
          static_cast<float>(1 / std::sqrt(c.head_dim))};
}

constexpr int64_t kLayers = 2;
constexpr int64_t kLayer = 1;

// q, k and v of some rows, one after another.
struct Inputs {
  Inputs(const AttentionShape& shape, int64_t rows, uint32_t seed)
      : q_width(shape.heads * shape.head_dim),
        kv_width(shape.kv_heads * shape.head_dim),
        q(RandomFloats(rows * q_width, seed)),
        k(RandomFloats(rows * kv_width, seed + 1)),
        v(RandomFloats(rows * kv_width, seed + 2)) {
    for (float& x : q) x *= 3;
  }
  int64_t q_width, kv_width;
  std::vector<float> q, k, v;
};

// The pages of one sequence.
class Cache {
 public:
  Cache(const AttentionShape& shape, int64_t length) {
    const int64_t floats = KvPageFloats(shape, kLayers);
    for (int64_t p = 0; p * kKvBlock < length; ++p) {
      memory_.push_back(std::make_unique<std::vector<float>>(floats, NAN));
      pages_.push_back(memory_.back()->data());
    }
  }
  AttentionRow Row(int64_t length) const { return {pages_.data(), length}; }

 private:
  std::vector<std::unique_ptr<std::vector<float>>> memory_;
  std::vector<float*> pages_;
};

struct Result {
  std::vector<float> out, lse;
};

// Positions [0, length) of one sequence, `chunk` at a time.
Result Prefill(ThreadPool& pool, const AttentionShape& shape, const Inputs& in, int64_t length,
               int64_t chunk) {
  Cache cache(shape, length);
  Result result{std::vector<float>(length * in.q_width), std::vector<float>(length * shape.heads)};
  for (int64_t at = 0; at < length; at += chunk) {
    std::vector<AttentionRow> rows;
    for (int64_t t = at; t < std::min(length, at + chunk); ++t) rows.push_back(cache.Row(t + 1));
    StoreKv(pool, shape, kLayer, &in.k[at * in.kv_width], &in.v[at * in.kv_width], in.kv_width,
            rows);
    AttentionForward(pool, shape, kLayer, &in.q[at * in.q_width], in.q_width, rows,
                     &result.out[at * in.q_width], &result.lse[at * shape.heads]);
  }
  return result;
}

// Sum of weight * attention over all rows, heads and dimensions of one sequence; out and lse on
// request.
double PlainAttention(const AttentionShape& s, int64_t length, const std::vector<double>& q,
                      const std::vector<double>& k, const std::vector<double>& v,
                      const std::vector<float>* weight, std::vector<double>* out,
                      std::vector<double>* lse) {
  const int64_t d = s.head_dim, group = s.heads / s.kv_heads;
  double loss = 0;
  std::vector<double> p(length);
  for (int64_t t = 0; t < length; ++t) {
    for (int64_t h = 0; h < s.heads; ++h) {
      const double* qh = &q[(t * s.heads + h) * d];
      double z = 0;
      for (int64_t j = 0; j <= t; ++j) {
        const double* kh = &k[(j * s.kv_heads + h / group) * d];
        double score = 0;
        for (int64_t i = 0; i < d; ++i) score += qh[i] * kh[i];
        p[j] = std::exp(score * double{s.scale});
        z += p[j];
      }
      if (lse != nullptr) lse->push_back(std::log(z));
      for (int64_t i = 0; i < d; ++i) {
        double sum = 0;
        for (int64_t j = 0; j <= t; ++j) sum += p[j] * v[(j * s.kv_heads + h / group) * d + i];
        if (out != nullptr) out->push_back(sum / z);
        if (weight != nullptr) loss += sum / z * (*weight)[(t * s.heads + h) * d + i];
      }
    }
  }
  return loss;
}

std::vector<double> Doubles(const std::vector<float>& x) { return {x.begin(), x.end()}; }

class Attention : public testing::TestWithParam<Case> {
 protected:
  const AttentionShape shape_ = ShapeOf(GetParam());
};

TEST_P(Attention, ForwardIsTheFormula) {
  ThreadPool pool(2);
  for (const int64_t length : {1, 31, 32, 33, 100}) {
    const Inputs in(shape_, length, 1);
    const Result result = Prefill(pool, shape_, in, length, length);
    std::vector<double> out, lse;
    PlainAttention(shape_, length, Doubles(in.q), Doubles(in.k), Doubles(in.v), nullptr, &out,
                   &lse);
    for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(result.out[i], out[i], 1e-5) << length;
    for (size_t i = 0; i < lse.size(); ++i) ASSERT_NEAR(result.lse[i], lse[i], 1e-5) << length;
  }
}

TEST_P(Attention, KeepsItsBitsUnderChunksAndThreads) {
  constexpr int64_t kLength = 100;
  ThreadPool one(1), three(3);
  const Inputs in(shape_, kLength, 2);
  const Result expected = Prefill(one, shape_, in, kLength, 1);
  for (const int64_t chunk : {2, 7, 32, 64, 100}) {
    for (ThreadPool* pool : {&one, &three}) {
      const Result result = Prefill(*pool, shape_, in, kLength, chunk);
      EXPECT_TRUE(SameBits(result.out.data(), expected.out.data(), result.out.size())) << chunk;
      EXPECT_TRUE(SameBits(result.lse.data(), expected.lse.data(), result.lse.size())) << chunk;
    }
  }
}

// One batch that decodes rows of several sequences, and prefills another among them.
TEST_P(Attention, KeepsItsBitsInAMixedBatch) {
  const std::vector<int64_t> lengths = {1, 33, 100, 64, 31};
  ThreadPool one(1), two(2);
  std::vector<Inputs> inputs;
  std::vector<Result> expected;
  std::vector<Cache> caches;
  std::vector<AttentionRow> rows;
  std::vector<float> q, want;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const int64_t n = lengths[s];
    inputs.emplace_back(shape_, n, 10 * static_cast<uint32_t>(s));
    const Inputs& in = inputs.back();
    expected.push_back(Prefill(one, shape_, in, n, n));
    caches.emplace_back(shape_, n);
    std::vector<AttentionRow> all;
    for (int64_t t = 0; t < n; ++t) all.push_back(caches.back().Row(t + 1));
    StoreKv(one, shape_, kLayer, in.k.data(), in.v.data(), in.kv_width, all);
    for (int64_t t = s == 2 ? 0 : n - 1; t < n; ++t) {
      rows.push_back(all[t]);
      q.insert(q.end(), &in.q[t * in.q_width], &in.q[t * in.q_width] + in.q_width);
      const float* out = &expected.back().out[t * in.q_width];
      want.insert(want.end(), out, out + in.q_width);
    }
  }
  for (ThreadPool* pool : {&one, &two}) {
    std::vector<float> out(q.size());
    AttentionForward(*pool, shape_, kLayer, q.data(), inputs[0].q_width, rows, out.data(), nullptr);
    EXPECT_TRUE(SameBits(out.data(), want.data(), out.size()));
  }
}

TEST_P(Attention, BackwardIsTheSlopeOfTheFormula) {
  const std::vector<int64_t> starts = {0, 45, 46, 110};
  const int64_t rows = starts.back();
  const Inputs in(shape_, rows, 3);
  const std::vector<float> dout = RandomFloats(rows * in.q_width, 4);
  std::vector<float> out(rows * in.q_width), lse(rows * shape_.heads);
  std::vector<float> grads[2];  // with one thread, with three
  const int64_t q_size = rows * in.q_width, kv_size = rows * in.kv_width;
  for (int i = 0; i < 2; ++i) {
    ThreadPool pool(1 + 2 * i);
    for (size_t s = 0; s + 1 < starts.size(); ++s) {
      const int64_t first = starts[s], n = starts[s + 1] - first;
      Inputs part = in;
      part.q.erase(part.q.begin(), part.q.begin() + first * in.q_width);
      part.k.erase(part.k.begin(), part.k.begin() + first * in.kv_width);
      part.v.erase(part.v.begin(), part.v.begin() + first * in.kv_width);
      const Result result = Prefill(pool, shape_, part, n, n);
      std::copy(result.out.begin(), result.out.end(), out.begin() + first * in.q_width);
      std::copy(result.lse.begin(), result.lse.end(), lse.begin() + first * shape_.heads);
    }
    grads[i].assign(q_size + 2 * kv_size, NAN);
    float* dq = grads[i].data();
    AttentionBackward(pool, shape_, starts, in.q.data(), in.k.data(), in.v.data(), in.q_width,
                      in.kv_width, out.data(), lse.data(), dout.data(), dq, dq + q_size,
                      dq + q_size + kv_size, in.q_width, in.kv_width);
  }
  EXPECT_TRUE(SameBits(grads[0].data(), grads[1].data(), grads[0].size()));

  std::mt19937 generator(5);
  for (size_t s = 0; s + 1 < starts.size(); ++s) {
    const int64_t first = starts[s], n = starts[s + 1] - first;
    const auto part = [&](const std::vector<float>& x, int64_t width) {
      return std::vector<double>(x.begin() + first * width, x.begin() + (first + n) * width);
    };
    std::vector<double> qkv[3] = {part(in.q, in.q_width), part(in.k, in.kv_width),
                                  part(in.v, in.kv_width)};
    const std::vector<float> weight(dout.begin() + first * in.q_width,
                                    dout.begin() + (first + n) * in.q_width);
    const int64_t offsets[] = {first * in.q_width, q_size + first * in.kv_width,
                               q_size + kv_size + first * in.kv_width};
    for (int which = 0; which < 3; ++which) {
      for (int sample = 0; sample < 8; ++sample) {
        const size_t i = generator() % qkv[which].size();
        double loss[2];
        for (int side = 0; side < 2; ++side) {
          const double kept = qkv[which][i];
          qkv[which][i] += side == 0 ? 1e-5 : -1e-5;
          loss[side] = PlainAttention(shape_, n, qkv[0], qkv[1], qkv[2], &weight, nullptr, nullptr);
          qkv[which][i] = kept;
        }
        EXPECT_NEAR(grads[0][offsets[which] + i], (loss[0] - loss[1]) / 2e-5, 3e-5)
            << "qkv"[which] << " " << i << " of sequence " << s;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         testing::Values(Case{1, 1, 8}, Case{2, 2, 32}, Case{8, 2, 64},
                                         Case{4, 4, 64}, Case{6, 2, 20}, Case{40, 1, 16},
                                         Case{4, 1, 128}));

TEST(AttentionKernels, WithFmaAgreeOnEveryBitOfATile) {
  const isa::KernelTable* tables[] = {isa::FindKernels("avx512"), isa::FindKernels("avx2")};
  if (tables[0] == nullptr || tables[1] == nullptr) GTEST_SKIP() << "this machine has not both";
  for (const int64_t d : {8, 20, 64, 128}) {
    constexpr int64_t kQueries = 5;
    const std::vector<float> q = RandomFloats(kQueries * d, 6);
    const std::vector<float> pages = RandomFloats(4 * kKvBlock * d, 7);
    const float* page_list[] = {pages.data(), pages.data() + 2 * kKvBlock * d};
    const int64_t lengths[kQueries] = {3, 32, 33, 50, 64};
    std::vector<float> out[2], stats[2];
    for (int i = 0; i < 2; ++i) {
      out[i].resize(kQueries * d);
      stats[i].resize(2 * kQueries);
      std::vector<float> scores(kQueries * kKvBlock);
      tables[i]->attention_tile({kQueries, d, d, 0.3f, q.data(), lengths, page_list, 0,
                                 out[i].data(), scores.data(), stats[i].data(),
                                 stats[i].data() + kQueries});
    }
    EXPECT_TRUE(SameBits(out[0].data(), out[1].data(), kQueries * d)) << d;
    EXPECT_TRUE(SameBits(stats[0].data(), stats[1].data(), 2 * kQueries)) << d;
  }
}

}  // namespace attention_test
}  // namespace ponder::kernels

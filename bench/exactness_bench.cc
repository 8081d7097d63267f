// What batch invariance costs: our products and attention, whose sums have one order whatever the
// batch and the threads, beside variants that are free to choose: LibTorch's, and our own kernels
// with the sum cut in two for two threads. One JSON line a shape; `ratio` is our time by that of
// the fastest of all, ours included.
//   bench_exactness [threads, default 2]
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "moe/kernels/aligned_buffer.h"
#include "moe/kernels/attention.h"
#include "moe/kernels/gemm.h"

namespace ponder::kernels {
namespace {

constexpr int kRounds = 9;

struct Variant {
  std::string name;
  std::function<void()> run;
  double best_us = 0;
};

double Microseconds(const std::function<void()>& run) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  double seconds = 0;
  int calls = 0;
  do {
    run();
    ++calls;
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
  } while (seconds < 0.02);
  return seconds / calls * 1e6;
}

// Variants in turn, the best of several rounds each; the first is ours.
void Compare(const std::string& what, std::vector<Variant> variants) {
  for (int round = 0; round <= kRounds; ++round) {
    for (Variant& variant : variants) {
      const double us = Microseconds(variant.run);
      if (round == 1 || (round > 1 && us < variant.best_us)) variant.best_us = us;
    }
  }
  double fastest = variants[0].best_us;
  std::printf("{%s", what.c_str());
  for (const Variant& variant : variants) {
    fastest = std::min(fastest, variant.best_us);
    std::printf(", \"%s_us\": %.2f", variant.name.c_str(), variant.best_us);
  }
  std::printf(", \"ratio\": %.3f}\n", variants[0].best_us / fastest);
  std::fflush(stdout);
}

// x [m, k] by w^T, w [n, k].
void Products(ThreadPool& pool, int64_t m, int64_t n, int64_t k) {
  const at::Tensor x = at::rand({m, k});
  const at::Tensor w = at::rand({n, k});
  const at::Tensor wt = w.t().contiguous();
  at::Tensor out = at::empty({m, n});
  at::Tensor theirs = at::empty({m, n});
  PackedMatrix whole;
  whole.Pack(pool, w.data_ptr<float>(), k, n, 1, k);
  const int64_t parts = pool.threads();
  std::vector<PackedMatrix> halves(static_cast<size_t>(parts));
  std::vector<at::Tensor> sums;
  for (int64_t p = 0; p < parts; ++p) {
    halves[static_cast<size_t>(p)].Pack(pool, w.data_ptr<float>() + p * (k / parts), k / parts, n,
                                        1, k);
    sums.push_back(at::empty({m, n}));
  }
  ThreadPool alone(1);
  const float* from = x.data_ptr<float>();
  Compare("\"op\": \"product\", \"m\": " + std::to_string(m) + ", \"n\": " + std::to_string(n) +
              ", \"k\": " + std::to_string(k),
          {{"ours", [&] { Gemm(pool, from, k, 1, m, whole, out.data_ptr<float>(), n); }},
           {"libtorch", [&] { at::mm_out(theirs, x, wt); }},
           {"libtorch_transposed", [&] { at::mm_out(theirs, x, w.t()); }},
           {"split_k", [&] {
              pool.ParallelFor(parts, 1, [&](int64_t begin, int64_t end) {
                for (int64_t p = begin; p < end; ++p) {
                  Gemm(alone, from + p * (k / parts), k, 1, m, halves[static_cast<size_t>(p)],
                       sums[static_cast<size_t>(p)].data_ptr<float>(), n);
                }
              });
              float* to = sums[0].data_ptr<float>();
              for (int64_t p = 1; p < parts; ++p) {
                const float* add = sums[static_cast<size_t>(p)].data_ptr<float>();
                for (int64_t i = 0; i < m * n; ++i) to[i] += add[i];
              }
            }}});
}

// One token of each of `width` sequences over `length` keys, in pages.
void Decoding(ThreadPool& pool, int64_t width, int64_t length) {
  constexpr int64_t kHeads = 8, kKvHeads = 4, kDim = 64;
  const AttentionShape shape{kHeads, kKvHeads, kDim, kDim, 1 / std::sqrt(float{kDim})};
  const int64_t per_sequence = (length + kKvBlock - 1) / kKvBlock;
  std::vector<AlignedBuffer> memory;
  std::vector<float*> pages;
  for (int64_t p = 0; p < width * per_sequence; ++p) {
    memory.emplace_back(KvPageFloats(shape, 1));
    pages.push_back(memory.back().data());
  }
  const at::Tensor keys = at::rand({width, kKvHeads, length, kDim});
  const at::Tensor values = at::rand({width, kKvHeads, length, kDim});
  std::vector<AttentionRow> rows;
  for (int64_t s = 0; s < width; ++s) {
    for (int64_t t = 0; t < length; ++t) {
      rows.assign(1, {pages.data() + s * per_sequence, t + 1});
      const at::Tensor key = keys[s].select(1, t).contiguous();
      const at::Tensor value = values[s].select(1, t).contiguous();
      StoreKv(pool, shape, 0, key.data_ptr<float>(), value.data_ptr<float>(), kKvHeads * kDim,
              rows);
    }
  }
  rows.clear();
  for (int64_t s = 0; s < width; ++s) rows.push_back({pages.data() + s * per_sequence, length});
  const at::Tensor q = at::rand({width, kHeads, kDim});
  at::Tensor out = at::empty({width, kHeads, kDim});
  const at::Tensor grouped = q.view({width * kKvHeads, kHeads / kKvHeads, kDim}) * shape.scale;
  const at::Tensor kt = keys.view({width * kKvHeads, length, kDim}).transpose(1, 2).contiguous();
  const at::Tensor v = values.view({width * kKvHeads, length, kDim});
  // Keys cut among the threads, each part with its log-sum-exp; for whole blocks.
  const int64_t parts = pool.threads();
  const int64_t blocks = length / kKvBlock / parts;
  std::vector<at::Tensor> outs, sums;
  std::vector<std::vector<AttentionRow>> part_rows(static_cast<size_t>(parts));
  for (int64_t p = 0; p < parts; ++p) {
    outs.push_back(at::empty({width, kHeads, kDim}));
    sums.push_back(at::empty({width, kHeads}));
    for (int64_t s = 0; s < width; ++s) {
      part_rows[static_cast<size_t>(p)].push_back(
          {pages.data() + s * per_sequence + p * blocks, blocks * kKvBlock});
    }
  }
  ThreadPool alone(1);
  std::vector<Variant> variants = {
      {"ours",
       [&] {
         AttentionForward(pool, shape, 0, q.data_ptr<float>(), kHeads * kDim, rows,
                          out.data_ptr<float>(), nullptr);
       }},
      {"libtorch", [&] { at::bmm(at::softmax(at::bmm(grouped, kt), -1), v); }}};
  if (blocks * parts * kKvBlock == length) {
    variants.push_back({"split_keys", [&] {
      pool.ParallelFor(parts, 1, [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
          const auto i = static_cast<size_t>(p);
          AttentionForward(alone, shape, 0, q.data_ptr<float>(), kHeads * kDim, part_rows[i],
                           outs[i].data_ptr<float>(), sums[i].data_ptr<float>());
        }
      });
      for (int64_t h = 0; h < width * kHeads; ++h) {
        float most = -INFINITY, total = 0;
        for (const at::Tensor& sum : sums) most = std::max(most, sum.data_ptr<float>()[h]);
        for (const at::Tensor& sum : sums) total += std::exp(sum.data_ptr<float>()[h] - most);
        float* to = out.data_ptr<float>() + h * kDim;
        for (int64_t d = 0; d < kDim; ++d) {
          float value = 0;
          for (size_t p = 0; p < sums.size(); ++p) {
            value += std::exp(sums[p].data_ptr<float>()[h] - most) / total *
                     outs[p].data_ptr<float>()[h * kDim + d];
          }
          to[d] = value;
        }
      }
    }});
  }
  Compare("\"op\": \"attention\", \"width\": " + std::to_string(width) +
              ", \"keys\": " + std::to_string(length),
          std::move(variants));
}

void Run(int threads) {
  at::set_num_threads(threads);
  ThreadPool pool(threads);
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{512, 512}, {512, 2048}, {128, 128}}) {
    for (const int64_t m : {1, 4, 16, 64, 256}) Products(pool, m, n, k);
  }
  for (const int64_t width : {1, 16, 64}) {
    for (const int64_t length : {64, 512, 2048}) Decoding(pool, width, length);
  }
}

}  // namespace
}  // namespace ponder::kernels

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  if (threads < 1) {
    std::fprintf(stderr, "usage: bench_exactness [threads >= 1]\n");
    return 2;
  }
  ponder::kernels::Run(threads);
  return 0;
}

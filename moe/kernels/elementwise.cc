// Rows shared out among threads; the arithmetic of a row is in isa/rows.h.
#include "moe/kernels/elementwise.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "moe/kernels/isa/table.h"
#include "moe/kernels/sharing.h"
#include "moe/kernels/softmax.h"

namespace ponder::kernels {
namespace {

// An exp costs about as much as touching this many floats.
constexpr int64_t kExpCost = 4;

// dweight is summed over blocks of this many rows, then over blocks: the same whatever the threads.
constexpr int64_t kSumRows = 256;

}  // namespace

void RmsNormForward(ThreadPool& pool, const float* x, const float* weight, int64_t t, int64_t h,
                    float eps, float* y, float* inv_rms) {
  const isa::KernelTable& kernels = isa::Kernels();
  pool.ParallelFor(t, RowsWorthSharing(h), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float mean = kernels.sum_of_squares(x + i * h, h) / static_cast<float>(h);
      const float scale = 1 / std::sqrt(mean + eps);
      if (inv_rms != nullptr) inv_rms[i] = scale;
      kernels.scale_row(x + i * h, weight, scale, h, y + i * h);
    }
  });
}

void RmsNormBackward(ThreadPool& pool, const float* dy, const float* x, const float* weight,
                     const float* inv_rms, int64_t t, int64_t h, float* dx, float* dweight) {
  const isa::KernelTable& kernels = isa::Kernels();
  const int64_t blocks = (t + kSumRows - 1) / kSumRows;
  std::vector<float> sums(blocks * h);
  pool.ParallelFor(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * kSumRows; i < std::min(t, end * kSumRows); ++i) {
      kernels.rms_norm_backward_row(dy + i * h, x + i * h, weight, inv_rms[i], h, dx + i * h,
                                    sums.data() + i / kSumRows * h);
    }
  });
  for (int64_t block = 0; dweight != nullptr && block < blocks; ++block) {
    kernels.add_scaled(dweight, sums.data() + block * h, 1, h);
  }
}

void RopeTables(const float* inv_freq, int64_t half_dim, int64_t max_positions, float scale,
                float* cos, float* sin) {
  for (int64_t p = 0; p < max_positions; ++p) {
    for (int64_t i = 0; i < half_dim; ++i) {
      const float angle = static_cast<float>(p) * inv_freq[i];
      cos[p * half_dim + i] = std::cos(angle) * scale;
      sin[p * half_dim + i] = std::sin(angle) * scale;
    }
  }
}

void Rope(ThreadPool& pool, float* x, int64_t row_stride, int64_t t, int64_t heads,
          int64_t head_dim, const int32_t* positions, const float* cos, const float* sin,
          bool inverse) {
  const isa::KernelTable& kernels = isa::Kernels();
  const int64_t half = head_dim / 2;
  pool.ParallelFor(t, RowsWorthSharing(heads * head_dim), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels.rotate_heads(x + i * row_stride, heads, half, cos + positions[i] * half,
                           sin + positions[i] * half, inverse);
    }
  });
}

void RopeInterleaved(ThreadPool& pool, float* x, int64_t row_stride, int64_t t, int64_t heads,
                     int64_t head_stride, int64_t head_dim, const int32_t* positions,
                     const float* cos, const float* sin, bool inverse) {
  const int64_t half = head_dim / 2;
  const float sign = inverse ? -1.0f : 1.0f;
  pool.ParallelFor(t, RowsWorthSharing(heads * head_dim), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* c = cos + positions[i] * half;
      const float* s = sin + positions[i] * half;
      for (int64_t h = 0; h < heads; ++h) {
        float* pairs = x + i * row_stride + h * head_stride;
        for (int64_t j = 0; j < half; ++j) {
          const float a = pairs[2 * j];
          const float b = pairs[2 * j + 1];
          pairs[2 * j] = a * c[j] - b * sign * s[j];
          pairs[2 * j + 1] = a * sign * s[j] + b * c[j];
        }
      }
    }
  });
}

void Clamp(ThreadPool& pool, float* x, int64_t n, float limit) {
  pool.ParallelFor(n, RowsWorthSharing(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) x[i] = std::min(std::max(x[i], -limit), limit);
  });
}

void ClampBackward(ThreadPool& pool, const float* x, int64_t n, float limit, float* dx) {
  pool.ParallelFor(n, RowsWorthSharing(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (!(std::abs(x[i]) < limit)) dx[i] = 0;
    }
  });
}

void AddBias(ThreadPool& pool, const float* bias, int64_t t, int64_t n, float* y) {
  pool.ParallelFor(t, RowsWorthSharing(n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) isa::Kernels().add_scaled(y + i * n, bias, 1, n);
  });
}

void AddBiasBackward(ThreadPool& pool, const float* dy, int64_t t, int64_t n, float* dbias) {
  pool.ParallelFor(n, std::max<int64_t>(16, RowsWorthSharing(t)), [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < t; ++i) {
      isa::Kernels().add_scaled(dbias + begin, dy + i * n + begin, 1, end - begin);
    }
  });
}

void SwiGluForward(ThreadPool& pool, const float* gate, const float* up, int64_t n, float* out) {
  pool.ParallelFor(n, RowsWorthSharing(kExpCost), [&](int64_t begin, int64_t end) {
    isa::Kernels().swiglu(gate + begin, up + begin, end - begin, out + begin);
  });
}

void SwiGluBackward(ThreadPool& pool, const float* dout, const float* gate, const float* up,
                    int64_t n, float* dgate, float* dup) {
  pool.ParallelFor(n, RowsWorthSharing(kExpCost), [&](int64_t begin, int64_t end) {
    isa::Kernels().swiglu_backward(dout + begin, gate + begin, up + begin, end - begin,
                                   dgate + begin, dup + begin);
  });
}

void AddInPlace(ThreadPool& pool, float* y, const float* x, int64_t n) {
  pool.ParallelFor(n, RowsWorthSharing(1), [&](int64_t begin, int64_t end) {
    isa::Kernels().add_scaled(y + begin, x + begin, 1, end - begin);
  });
}

SoftmaxRow SoftmaxOf(const float* logits, int64_t v, float temperature) {
  const isa::SoftmaxSums sums = isa::Kernels().softmax_sums(logits, v, 1 / temperature);
  const float log_sum = std::log(sums.sum);
  return {sums.max + log_sum, log_sum - sums.weighted / sums.sum};
}

float LogProb(const float* logits, float temperature, float log_z, int64_t token) {
  return logits[token] * (1 / temperature) - log_z;
}

void LogSoftmaxStats(ThreadPool& pool, const float* logits, int64_t t, int64_t v, float temperature,
                     const int32_t* targets, float* log_z, float* entropy, float* logprob) {
  pool.ParallelFor(t, RowsWorthSharing(v * kExpCost), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const SoftmaxRow row = SoftmaxOf(logits + i * v, v, temperature);
      if (log_z != nullptr) log_z[i] = row.log_z;
      if (entropy != nullptr) entropy[i] = row.entropy;
      if (logprob != nullptr) {
        logprob[i] = LogProb(logits + i * v, temperature, row.log_z, targets[i]);
      }
    }
  });
}

void LogSoftmaxBackward(ThreadPool& pool, const float* logits, int64_t t, int64_t v,
                        float temperature, const int32_t* targets, const float* log_z,
                        const float* coef, float* dlogits) {
  pool.ParallelFor(t, RowsWorthSharing(v * kExpCost), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float scale = 1 / temperature;
      isa::Kernels().exp_row(logits + i * v, v, scale, log_z[i], -coef[i] * scale, dlogits + i * v);
      dlogits[i * v + targets[i]] += coef[i] * scale;
    }
  });
}

}  // namespace ponder::kernels

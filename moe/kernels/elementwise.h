// The row-wise kernels of the decoder: RMSNorm, RoPE, SwiGLU, softmax statistics; forward and backward.
// A row's result depends on that row alone. Legend: T rows (tokens), H hidden, V vocabulary, NH heads, D head_dim.
// All float32, contiguous row-major.
#pragma once

#include <cstdint>

#include "moe/kernels/thread_pool.h"

namespace ponder::kernels {

// y = x / sqrt(mean(x^2) + eps) * weight, over rows of length H. y may be x. inv_rms [T] is optional (for backward).
void RmsNormForward(ThreadPool& pool, const float* x_TH, const float* weight_H, int64_t t, int64_t h, float eps,
                    float* y_TH, float* inv_rms_T);
// dx is overwritten; dweight (null: not wanted) is added to: sums of blocks of rows, in ascending order, the same whatever the threads.
void RmsNormBackward(ThreadPool& pool, const float* dy_TH, const float* x_TH, const float* weight_H,
                     const float* inv_rms_T, int64_t t, int64_t h, float* dx_TH, float* dweight_H);

// cos/sin tables [max_positions, D/2] for RoPE with the given inverse frequencies [D/2], times `scale` (YaRN's attention
// factor).
void RopeTables(const float* inv_freq, int64_t half_dim, int64_t max_positions, float scale, float* cos_PD2,
                float* sin_PD2);
// Rotates pairs (i, i + D/2) of each head in place (Hugging Face's rotate_half). x row t starts at x + t * row_stride and
// holds NH heads. inverse = true applies the transpose: the backward pass.
void Rope(ThreadPool& pool, float* x, int64_t row_stride, int64_t t, int64_t heads, int64_t head_dim,
          const int32_t* positions_T, const float* cos_PD2, const float* sin_PD2, bool inverse = false);

// The same for pairs (2i, 2i + 1) (DeepSeek), of heads that are head_stride floats apart.
void RopeInterleaved(ThreadPool& pool, float* x, int64_t row_stride, int64_t t, int64_t heads, int64_t head_stride,
                     int64_t head_dim, const int32_t* positions_T, const float* cos_PD2, const float* sin_PD2,
                     bool inverse = false);

// x = min(max(x, -limit), limit); and its derivative: dx = 0 where |x| >= limit, for clamped x.
void Clamp(ThreadPool& pool, float* x, int64_t n, float limit);
void ClampBackward(ThreadPool& pool, const float* x, int64_t n, float limit, float* dx);

// y[t] += bias, rows of length N; and its derivative: dbias += sum over rows of dy, in row order.
void AddBias(ThreadPool& pool, const float* bias_N, int64_t t, int64_t n, float* y_TN);
void AddBiasBackward(ThreadPool& pool, const float* dy_TN, int64_t t, int64_t n, float* dbias_N);

// out = silu(gate) * up.
void SwiGluForward(ThreadPool& pool, const float* gate, const float* up, int64_t n, float* out);
void SwiGluBackward(ThreadPool& pool, const float* dout, const float* gate, const float* up, int64_t n,
                    float* dgate, float* dup);

// y += x
void AddInPlace(ThreadPool& pool, float* y, const float* x, int64_t n);

// For each row of logits [T, V], after division by `temperature`: log_z = log sum exp (optional), entropy of the softmax
// (optional), log-prob of targets_T (optional, with targets). One pass order for all.
void LogSoftmaxStats(ThreadPool& pool, const float* logits_TV, int64_t t, int64_t v, float temperature,
                     const int32_t* targets_T, float* log_z_T, float* entropy_T, float* logprob_T);
// d logits of sum_t coef[t] * logprob[t]: coef[t] * (onehot(target) - softmax) / temperature. May overwrite the logits.
void LogSoftmaxBackward(ThreadPool& pool, const float* logits_TV, int64_t t, int64_t v, float temperature,
                        const int32_t* targets_T, const float* log_z_T, const float* coef_T, float* dlogits_TV);

}  // namespace ponder::kernels

// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1) in absorbed form: all query heads
// attend to one key a token, [c_KV; k^R], whose value is c_KV. W^UK is absorbed into the queries, W^UV
// into the outputs. Actor and learner both call these, so that their bits agree.
// Legend: T tokens, NH heads, N qk_nope_head_dim, P qk_rope_head_dim, C kv_lora_rank, DV v_head_dim.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "moe/kernels/gemm.h"
#include "moe/kernels/thread_pool.h"
#include "moe/model_config.h"

namespace ponder::moe {

struct LatentShape {
  explicit LatentShape(const ModelConfig& config);
  int64_t query() const { return nope + rope; }  // of a projected head
  int64_t key() const { return rank + rope; }    // of an absorbed head
  int64_t heads, nope, rope, rank, value;
};

// Where to rotate to. Tables [positions, P / 2].
struct Rotation {
  const int32_t* positions_T;
  const float* cos;
  const float* sin;
  bool interleave;
};

// One matrix a head.
using HeadMatrices = absl::Span<const kernels::PackedMatrix* const>;

// Rotates heads of P floats that are head_stride apart, in rows row_stride apart.
void RotateHeads(kernels::ThreadPool& pool, const Rotation& rotation, float* x, int64_t row_stride,
                 int64_t t, int64_t heads, int64_t head_stride, int64_t dim, bool inverse);
// out [T, NH, C + P] = [q^N W^UK; rotated q^P] from q [T, NH, N + P]; W^UK [N, C] a head.
void AbsorbQueries(kernels::ThreadPool& pool, const LatentShape& shape, const Rotation& rotation,
                   const float* q, int64_t t, HeadMatrices up_key, float* out);
// out [T, C + P] = [c; rotated k] from c_KV [T, C] and k^R [T, P] before rotation.
void LatentKeys(kernels::ThreadPool& pool, const LatentShape& shape, const Rotation& rotation,
                const float* c, const float* k, int64_t t, float* out);
// out [T, NH, DV] from what attention gathered, [T, NH, C]; W^UV [C, DV] a head.
void ExpandValues(kernels::ThreadPool& pool, const LatentShape& shape, const float* gathered,
                  int64_t t, HeadMatrices up_value, float* out);

// Copies rows of `width` floats.
void CopyRows(const float* from, int64_t from_stride, int64_t rows, int64_t width, float* to,
              int64_t to_stride);

}  // namespace ponder::moe

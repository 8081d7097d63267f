#include "moe/latent_attention.h"

#include <cstring>

#include "moe/kernels/elementwise.h"

namespace ponder::moe {

LatentShape::LatentShape(const ModelConfig& config)
    : heads(config.num_attention_heads),
      nope(config.qk_nope_head_dim),
      rope(config.qk_rope_head_dim),
      rank(config.kv_lora_rank),
      value(config.v_head_dim) {}

void CopyRows(const float* from, int64_t from_stride, int64_t rows, int64_t width, float* to,
              int64_t to_stride) {
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(to + i * to_stride, from + i * from_stride,
                static_cast<size_t>(width) * sizeof(float));
  }
}

void RotateHeads(kernels::ThreadPool& pool, const Rotation& rotation, float* x, int64_t row_stride,
                 int64_t t, int64_t heads, int64_t head_stride, int64_t dim, bool inverse) {
  if (rotation.interleave) {
    kernels::RopeInterleaved(pool, x, row_stride, t, heads, head_stride, dim, rotation.positions_T,
                             rotation.cos, rotation.sin, inverse);
    return;
  }
  for (int64_t head = 0; head < heads; ++head) {
    kernels::Rope(pool, x + head * head_stride, row_stride, t, /*heads=*/1, dim,
                  rotation.positions_T, rotation.cos, rotation.sin, inverse);
  }
}

void AbsorbQueries(kernels::ThreadPool& pool, const LatentShape& shape, const Rotation& rotation,
                   const float* q, int64_t t, HeadMatrices up_key, float* out) {
  const int64_t from_row = shape.heads * shape.query();
  const int64_t to_row = shape.heads * shape.key();
  for (int64_t head = 0; head < shape.heads; ++head) {
    const float* from = q + head * shape.query();
    float* to = out + head * shape.key();
    kernels::Gemm(pool, from, from_row, 1, t, *up_key[static_cast<size_t>(head)], to, to_row);
    CopyRows(from + shape.nope, from_row, t, shape.rope, to + shape.rank, to_row);
  }
  RotateHeads(pool, rotation, out + shape.rank, to_row, t, shape.heads, shape.key(), shape.rope,
              /*inverse=*/false);
}

void LatentKeys(kernels::ThreadPool& pool, const LatentShape& shape, const Rotation& rotation,
                const float* c, const float* k, int64_t t, float* out) {
  CopyRows(c, shape.rank, t, shape.rank, out, shape.key());
  CopyRows(k, shape.rope, t, shape.rope, out + shape.rank, shape.key());
  RotateHeads(pool, rotation, out + shape.rank, shape.key(), t, /*heads=*/1, shape.key(),
              shape.rope, /*inverse=*/false);
}

void ExpandValues(kernels::ThreadPool& pool, const LatentShape& shape, const float* gathered,
                  int64_t t, HeadMatrices up_value, float* out) {
  for (int64_t head = 0; head < shape.heads; ++head) {
    kernels::Gemm(pool, gathered + head * shape.rank, shape.heads * shape.rank, 1, t,
                  *up_value[static_cast<size_t>(head)], out + head * shape.value,
                  shape.heads * shape.value);
  }
}

}  // namespace ponder::moe

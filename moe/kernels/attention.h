// Causal grouped-query attention over a paged KV cache; prefill, decode and training run the same arithmetic.
//
// Keys are visited in blocks of kKvBlock, in order, with an online softmax, for each (query row, head) alone: a row's bits
// depend on its own query and on the keys before it, not on chunking, on the batch or on threads. Page layout, per layer and
// KV head: K transposed [D, kKvBlock], then V [kKvBlock, DV]; a page holds all layers and KV heads of kKvBlock positions.
// Legend: T rows, NH query heads, KH key/value heads, D head_dim of queries and keys, DV that of values.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "moe/kernels/thread_pool.h"

namespace ponder::kernels {

constexpr int64_t kKvBlock = 32;

struct AttentionShape {
  int64_t heads = 0;
  int64_t kv_heads = 0;  // divides heads
  int64_t head_dim = 0;
  int64_t value_dim = 0;
  float scale = 0;       // usually 1 / sqrt(head_dim)
};

// Floats of one page for `layers` layers.
int64_t KvPageFloats(const AttentionShape& shape, int64_t layers);

// One query row: the pages of its sequence and how many keys it sees (its position + 1).
struct AttentionRow {
  float* const* pages = nullptr;  // at least ceil(length / kKvBlock) pages
  int64_t length = 0;
};

// Writes k [T, KH, D] and v [T, KH, DV] (rows row_stride floats apart) of row t to position rows[t].length - 1 of its pages.
void StoreKv(ThreadPool& pool, const AttentionShape& shape, int64_t layer, const float* k, const float* v,
             int64_t row_stride, absl::Span<const AttentionRow> rows);

// out [T, NH, DV] from q [T, NH, D] (row stride q_stride). Keys of each row must have been stored. lse [T, NH], the
// log-sum-exp of the scaled scores, is optional (for backward).
void AttentionForward(ThreadPool& pool, const AttentionShape& shape, int64_t layer, const float* q, int64_t q_stride,
                      absl::Span<const AttentionRow> rows, float* out, float* lse);

// Training: sequences packed one after another, [starts[s], starts[s + 1]). q, k, v (row strides in floats), out and
// dout [T, NH, DV] contiguous, lse [T, NH]; dq, dk, dv are overwritten (row strides as given). Sums run in a fixed order.
void AttentionBackward(ThreadPool& pool, const AttentionShape& shape, absl::Span<const int64_t> starts,
                       const float* q, const float* k, const float* v, int64_t q_stride, int64_t kv_stride,
                       const float* out, const float* lse, const float* dout,
                       float* dq, float* dk, float* dv, int64_t dq_stride, int64_t dkv_stride);

}  // namespace ponder::kernels

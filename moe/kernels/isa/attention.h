// Attention in tiles: scores with keys in the lanes, then P times V with head_dim in the lanes, all
// through MicroTile, so that a query's bits do not depend on which queries share its tile. Legend:
// D head_dim, DV value_dim; a block is 32 keys.
#pragma once

#include "moe/kernels/isa/matmul.h"
#include "moe/kernels/isa/rows.h"
#include "moe/kernels/isa/table.h"

namespace ponder::kernels::PONDER_ISA {

// A times a matrix [k, D] with rows of stride ld and nothing promised behind them.
PONDER_INLINE void TimesRows(const float* a, int64_t row_stride, int64_t col_stride, int64_t m,
                             int64_t k, const float* b, int64_t ld, int64_t d, float* c,
                             int64_t ldc, bool accumulate) {
  const MatrixB matrix{b, ld};
  if (d % kLanes == 0) {
    Matmul<false>(a, row_stride, col_stride, m, k, matrix, d, c, ldc, accumulate);
  } else {
    Matmul<true>(a, row_stride, col_stride, m, k, matrix, d, c, ldc, accumulate);
  }
}

// One step of the online softmax: turns the first n raw scores of a block into weights relative to
// the new maximum, and rescales what was gathered under the old one.
PONDER_INLINE void OnlineSoftmax(float scale, int64_t n, float* scores, float* max, float* sum,
                                 float* out, int64_t d) {
  const F16 lowest = Set1(-__builtin_inff());
  F16 s[2];
#pragma GCC unroll 2
  for (int u = 0; u < 2; ++u) {
    const int64_t lanes = n - u * kLanes;
    s[u] = Mul(Load(scores + u * kLanes), Set1(scale));
    if (lanes < kLanes) s[u] = SelectFirst(s[u], lowest, lanes > 0 ? lanes : 0);
  }
  const float block_max = MaxLane(Max(s[0], s[1]));
  const float new_max = block_max > *max ? block_max : *max;
  const F16 shift = Set1(new_max);
  const F16 p0 = Exp(Sub(s[0], shift));
  const F16 p1 = Exp(Sub(s[1], shift));
  Store(scores, p0);
  Store(scores + kLanes, p1);
  if (new_max == *max) {
    *sum += Sum(Add(p0, p1));
    return;
  }
  const F16 rescale = Exp(Set1(*max - new_max));
  *sum = *sum * FirstLane(rescale) + Sum(Add(p0, p1));
  *max = new_max;
  ForVectors(d, [=](int64_t i, int64_t lanes) {
    StoreUpTo(out + i, Mul(LoadUpTo(out + i, lanes), rescale), lanes);
  });
}

// Calls for memory that is needed soon.
PONDER_INLINE void CallFor(const float* data, int64_t floats) {
  for (int64_t i = 0; i < floats; i += 16) __builtin_prefetch(data + i, 0, 2);
}

static void AttentionTile(const isa::AttentionTileArgs& t) {
  constexpr int64_t kBlock = isa::kPanel;
  const int64_t d = t.head_dim;
  const int64_t dv = t.value_dim;
  int64_t longest = 0;
  for (int64_t i = 0; i < t.queries; ++i) {
    longest = t.lengths[i] > longest ? t.lengths[i] : longest;
    t.max[i] = -__builtin_inff();
    t.sum[i] = 0;
    for (int64_t j = 0; j < dv; ++j) t.out[i * dv + j] = 0;
  }
  for (int64_t base = 0; base < longest; base += kBlock) {
    const float* keys = t.pages[base / kBlock] + t.page_offset;
    const float* values = keys + d * kBlock;
    // Queries of a prefill come in the order of their positions: the first ones may be done.
    int64_t first = 0;
    while (t.lengths[first] <= base) ++first;
    const int64_t left = longest - base - kBlock;
    if (left > 0) {
      CallFor(t.pages[base / kBlock + 1] + t.page_offset,
              d * kBlock + (left < kBlock ? left : kBlock) * dv);
    } else if (t.upcoming != nullptr) {
      CallFor(t.upcoming, (d + dv) * kBlock);
    }
    Matmul<false>(t.q + first * d, d, 1, t.queries - first, d, {keys, kBlock}, kBlock,
                  t.scores + first * kBlock, kBlock, false);
    for (int64_t i = first; i < t.queries; ++i) {
      const int64_t n = t.lengths[i] - base;
      if (n <= 0) continue;
      OnlineSoftmax(t.scale, n, t.scores + i * kBlock, t.max + i, t.sum + i, t.out + i * dv, dv);
    }
    for (int64_t i = first; i < t.queries;) {
      // Neighbours that see the whole block go together; each other query on its own, over the keys
      // it sees.
      int64_t end = i;
      while (end < t.queries && t.lengths[end] >= base + kBlock) ++end;
      const int64_t n = end > i ? kBlock : t.lengths[i] - base;
      if (end == i) ++end;
      if (n > 0) {
        TimesRows(t.scores + i * kBlock, kBlock, 1, end - i, n, values, dv, dv, t.out + i * dv, dv,
                  true);
      }
      i = end;
    }
  }
  for (int64_t i = 0; i < t.queries; ++i) {
    const F16 sum = Set1(t.sum[i]);
    ForVectors(dv, [=](int64_t j, int64_t lanes) {
      float* to = t.out + i * dv + j;
      StoreUpTo(to, Div(LoadUpTo(to, lanes), sum), lanes);
    });
  }
}

// Key-value head by key-value head: for each block of keys, all the queries that see it, 32 at a
// time.
static void AttentionBackwardHead(const isa::AttentionBackwardArgs& t) {
  constexpr int64_t kBlock = isa::kPanel;
  const int64_t d = t.head_dim;
  const int64_t v_dim = t.value_dim;
  float* scores = t.scratch;                  // [32, 32], then the softmax
  float* dscores = scores + kBlock * kBlock;  // [32, 32]
  float* keys_t = dscores + kBlock * kBlock;  // [D, 32]
  float* values_t = keys_t + d * kBlock;      // [DV, 32]
  float* delta = values_t + v_dim * kBlock;   // [length, queries a head]
  for (int64_t i = 0; i < t.length; ++i) {
    for (int64_t h = 0; h < t.group; ++h) {
      const float* out = t.out + i * t.out_stride + h * v_dim;
      const float* dout = t.dout + i * t.out_stride + h * v_dim;
      delta[i * t.group + h] = SumVectors(v_dim, [=](F16 sum, int64_t j, int64_t lanes) {
        return Fma(LoadUpTo(out + j, lanes), LoadUpTo(dout + j, lanes), sum);
      });
    }
  }
  for (int64_t j0 = 0; j0 < t.length; j0 += kBlock) {
    const int64_t keys = t.length - j0 < kBlock ? t.length - j0 : kBlock;
    const float* k = t.k + j0 * t.kv_stride;
    const float* v = t.v + j0 * t.kv_stride;
    float* dk = t.dk + j0 * t.dkv_stride;
    float* dv = t.dv + j0 * t.dkv_stride;
    for (int64_t x = 0; x < d; ++x) {
      for (int64_t j = 0; j < kBlock; ++j) {
        keys_t[x * kBlock + j] = j < keys ? k[j * t.kv_stride + x] : 0;
      }
    }
    for (int64_t x = 0; x < v_dim; ++x) {
      for (int64_t j = 0; j < kBlock; ++j) {
        values_t[x * kBlock + j] = j < keys ? v[j * t.kv_stride + x] : 0;
      }
    }
    bool add = false;  // the first product overwrites dk and dv
    for (int64_t h = 0; h < t.group; ++h) {
      for (int64_t i0 = j0; i0 < t.length; i0 += kBlock) {
        const int64_t rows = t.length - i0 < kBlock ? t.length - i0 : kBlock;
        const float* q = t.q + i0 * t.q_stride + h * d;
        const float* dout = t.dout + i0 * t.out_stride + h * v_dim;
        float* dq = t.dq + i0 * t.dq_stride + h * d;
        Matmul<false>(q, t.q_stride, 1, rows, d, {keys_t, kBlock}, kBlock, scores, kBlock, false);
        Matmul<false>(dout, t.out_stride, 1, rows, v_dim, {values_t, kBlock}, kBlock, dscores,
                      kBlock, false);
        for (int64_t i = 0; i < rows; ++i) {
          const int64_t sees = i0 + i - j0 + 1 < keys ? i0 + i - j0 + 1 : keys;
          const F16 lse = Set1(-t.lse[(i0 + i) * t.lse_stride + h]);
          const F16 row_delta = Set1(delta[(i0 + i) * t.group + h]);
          for (int64_t u = 0; u < kBlock; u += kLanes) {
            const int64_t lanes = sees - u < 0 ? 0 : sees - u < kLanes ? sees - u : kLanes;
            float* s = scores + i * kBlock + u;
            float* ds = dscores + i * kBlock + u;
            const F16 p = SelectFirst(Exp(Fma(Load(s), Set1(t.scale), lse)), Zero(), lanes);
            const F16 slope = Mul(Mul(p, Sub(Load(ds), row_delta)), Set1(t.scale));
            Store(s, p);
            Store(ds, SelectFirst(slope, Zero(), lanes));
          }
        }
        TimesRows(scores, 1, kBlock, keys, rows, dout, t.out_stride, v_dim, dv, t.dkv_stride, add);
        TimesRows(dscores, 1, kBlock, keys, rows, q, t.q_stride, d, dk, t.dkv_stride, add);
        TimesRows(dscores, kBlock, 1, rows, keys, k, t.kv_stride, d, dq, t.dq_stride, j0 > 0);
        add = true;
      }
    }
  }
}

}  // namespace ponder::kernels::PONDER_ISA

// The one inner loop of every matrix product: R rows by U vectors of columns, held in registers
// over k. Each output is one chain of FMAs in ascending k, whatever R and U: a row's bits do not
// depend on its neighbours.
#pragma once

#include <stdint.h>

#include <type_traits>

#include "moe/kernels/isa/matrix_b.h"
#include "moe/kernels/isa/simd.h"

namespace ponder::kernels::PONDER_ISA {

// kWiden: B is widened on the way.
template <int R, bool kWiden>
constexpr int MostVectors() {
  // A third of the registers, at least, stays free for B (with its scales), for A and for latency.
  if (kVectorRegisters == 32) return R <= (kWiden ? 1 : 3) ? 8 : R <= (kWiden ? 5 : 6) ? 4 : 2;
  if (kVectorRegisters == 8) return R == 1 ? 4 : R <= 3 ? 2 : 1;
  return R == 1 ? 2 : 1;
}
constexpr int kMostRows = kVectorRegisters == 32 ? 12 : kVectorRegisters == 8 ? 6 : 2;

// kTail: only `columns` (< 16) lanes of the last vector exist in C; with kTailB also in B.
template <int R, int U, bool kTail, bool kTailB, typename B>
PONDER_INLINE void MicroTile(const float* a, int64_t row_stride, int64_t col_stride, int64_t k,
                             const B& b, float* c, int64_t ldc, int64_t columns, bool accumulate) {
  F16 acc[R][U];
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int u = 0; u < U; ++u) {
      const float* from = c + r * ldc + u * kLanes;
      if (!accumulate) {
        acc[r][u] = Zero();
      } else if (kTail && u == U - 1) {
        acc[r][u] = LoadFirst(from, columns);
      } else {
        acc[r][u] = Load(from);
      }
    }
  }
  for (int64_t k0 = 0; k0 < k;) {
    const int64_t rows = k - k0 < B::kRun ? k - k0 : B::kRun;
    auto run = b.template Begin<U>(k0);
    for (int64_t kk = 0; kk < rows; ++kk) {
      F16 bv[U];
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u) {
        if constexpr (kTailB) {
          bv[u] = u == U - 1 ? LoadFirst(run.Address(u), columns) : run.At(u);
        } else {
          bv[u] = run.At(u);
        }
      }
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
        const F16 av = Set1(a[r * row_stride]);
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) acc[r][u] = Fma(av, bv[u], acc[r][u]);
      }
      a += col_stride;
      run.Next();
    }
    k0 += rows;
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int u = 0; u < U; ++u) {
      float* to = c + r * ldc + u * kLanes;
      if (kTail && u == U - 1) {
        StoreFirst(to, acc[r][u], columns);
      } else {
        Store(to, acc[r][u]);
      }
    }
  }
}

// R rows by n columns.
template <int R, bool kTailB, typename B>
static void RowBlock(const float* a, int64_t row_stride, int64_t col_stride, int64_t k, const B& b,
                     int64_t n, float* c, int64_t ldc, bool accumulate) {
  constexpr bool kWiden = std::is_same<B, Bf16Panels>::value || std::is_same<B, Int8Panels>::value;
  constexpr int kU = MostVectors<R, kWiden>();
  int64_t j = 0;
  for (; j + kU * kLanes <= n; j += kU * kLanes) {
    MicroTile<R, kU, false, false>(a, row_stride, col_stride, k, b.From(j), c + j, ldc, 0,
                                   accumulate);
  }
  if constexpr (kU > 2) {
    for (; j + 2 * kLanes <= n; j += 2 * kLanes) {
      MicroTile<R, 2, false, false>(a, row_stride, col_stride, k, b.From(j), c + j, ldc, 0,
                                    accumulate);
    }
  }
  if constexpr (kU > 1) {
    for (; j + kLanes <= n; j += kLanes) {
      MicroTile<R, 1, false, false>(a, row_stride, col_stride, k, b.From(j), c + j, ldc, 0,
                                    accumulate);
    }
  }
  if (j < n) {
    MicroTile<R, 1, true, kTailB>(a, row_stride, col_stride, k, b.From(j), c + j, ldc, n - j,
                                  accumulate);
  }
}

template <bool kTailB, int R = kMostRows, typename B>
PONDER_INLINE void RowBlockOf(int64_t rows, const float* a, int64_t row_stride, int64_t col_stride,
                              int64_t k, const B& b, int64_t n, float* c, int64_t ldc,
                              bool accumulate) {
  if constexpr (R > 0) {
    if (rows == R) {
      RowBlock<R, kTailB>(a, row_stride, col_stride, k, b, n, c, ldc, accumulate);
    } else {
      RowBlockOf<kTailB, R - 1>(rows, a, row_stride, col_stride, k, b, n, c, ldc, accumulate);
    }
  }
}

// Height of the next row block when `left` rows are left: as even as can be (16 rows as 8 + 8, not
// 12 + 4).
PONDER_INLINE int64_t NextRows(int64_t left) {
  const int64_t blocks = (left + kMostRows - 1) / kMostRows;
  return (left + blocks - 1) / blocks;
}

// C [m, n] = A x B or C + A x B, all in cache. kTailB: B has no padding behind its n columns.
template <bool kTailB>
static void Matmul(const float* a, int64_t row_stride, int64_t col_stride, int64_t m, int64_t k,
                   const MatrixB& b, int64_t n, float* c, int64_t ldc, bool accumulate) {
  for (int64_t i = 0; i < m;) {
    const int64_t rows = NextRows(m - i);
    RowBlockOf<kTailB>(rows, a + i * row_stride, row_stride, col_stride, k, b, n, c + i * ldc, ldc,
                       accumulate);
    i += rows;
  }
}

}  // namespace ponder::kernels::PONDER_ISA

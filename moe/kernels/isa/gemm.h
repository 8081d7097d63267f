// A tile of C against packed panels of B: blocks of k, panels inside, rows innermost, so that a
// block of a panel stays in the nearest cache while the rows pass.
#pragma once

#include "moe/kernels/isa/matmul.h"
#include "moe/kernels/isa/table.h"

namespace ponder::kernels::PONDER_ISA {

// The next `rows` rows of a block of A, as [k][rows].
PONDER_INLINE void PackRows(const float* a, int64_t row_stride, int64_t col_stride, int64_t rows,
                            int64_t k, float* out) {
  for (int64_t kk = 0; kk < k; ++kk) {
    const float* from = a + kk * col_stride;
    if (row_stride == 1) {
      StoreFirst(out, LoadFirst(from, rows), rows);
    } else {
      for (int64_t r = 0; r < rows; ++r) out[r] = from[r * row_stride];
    }
    out += rows;
  }
}

static void GemmTile(const isa::GemmTileArgs& g) {
  constexpr int64_t kPanel = isa::kPanel;
  const bool pack = g.col_stride != 1;
  // A few rows stream all of B once; many rows reuse one panel at a time.
  const int64_t group = g.m <= kMostRows ? (g.n + kPanel - 1) / kPanel * kPanel : kPanel;
  int64_t k0 = 0;
  do {
    const int64_t depth = g.k - k0 < isa::kTileDepth ? g.k - k0 : isa::kTileDepth;
    const bool accumulate = g.accumulate || k0 > 0;
    const float* a = g.a + k0 * g.col_stride;
    if (pack) {
      for (int64_t i = 0; i < g.m;) {
        const int64_t rows = NextRows(g.m - i);
        PackRows(a + i * g.row_stride, g.row_stride, g.col_stride, rows, depth,
                 g.scratch + i * depth);
        i += rows;
      }
    }
    for (int64_t j = 0; j < g.n; j += group) {
      const int64_t n = g.n - j < group ? g.n - j : group;
      const MatrixB b{g.panels + j * g.k + k0 * kPanel, kPanel, g.k * kPanel};
      for (int64_t i = 0; i < g.m;) {
        const int64_t rows = NextRows(g.m - i);
        const float* from = pack ? g.scratch + i * depth : a + i * g.row_stride;
        RowBlockOf<false>(rows, from, pack ? 1 : g.row_stride, pack ? rows : 1, depth, b, n,
                          g.c + i * g.ldc + j, g.ldc, accumulate);
        i += rows;
      }
    }
    k0 += depth;
  } while (k0 < g.k);
}

}  // namespace ponder::kernels::PONDER_ISA

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

// Rows [k0, k0 + rows) of a panel, as floats [rows][kPanel]. k0 is a multiple of kQuantRows.
static void Widen(const isa::GemmTileArgs& g, int64_t index, int64_t k0, int64_t rows, float* out) {
  constexpr int64_t kPanel = isa::kPanel;
  const char* panel = static_cast<const char*>(g.panels) + index * isa::PanelBytes(g.type, g.k);
  if (g.type == isa::WeightType::kBfloat16) {
    const auto* from = reinterpret_cast<const uint16_t*>(panel) + k0 * kPanel;
    for (int64_t i = 0; i < rows * kPanel; i += kLanes) Store(out + i, LoadBf16(from + i));
    return;
  }
  for (int64_t k = 0; k < rows; k += isa::kQuantRows) {
    const char* block = panel + (k0 + k) / isa::kQuantRows * isa::kQuantBytes;
    const auto* scales = reinterpret_cast<const uint16_t*>(block);
    const auto* bytes = reinterpret_cast<const int8_t*>(block + kPanel * 2);
    const F16 low = LoadBf16(scales);
    const F16 high = LoadBf16(scales + kLanes);
    const int64_t end = rows - k < isa::kQuantRows ? rows - k : isa::kQuantRows;
    for (int64_t i = 0; i < end; ++i) {
      float* to = out + (k + i) * kPanel;
      Store(to, Mul(LoadInt8(bytes + i * kPanel), low));
      Store(to + kLanes, Mul(LoadInt8(bytes + i * kPanel + kLanes), high));
    }
  }
}

// A few rows by a narrow B, widened in registers.
template <typename B>
static void FewRows(const isa::GemmTileArgs& g, const B& b) {
  RowBlockOf<false>(g.m, g.a, g.row_stride, 1, g.k, b, g.n, g.c, g.ldc, g.accumulate);
}

// A narrow B: widened in registers for a few rows; for more a piece of a panel at a time, widened
// once, then multiplied with all rows. Pieces are as deep as they can be: each passes over C.
static void NarrowGemmTile(const isa::GemmTileArgs& g) {
  constexpr int64_t kPanel = isa::kPanel;
  if (g.m <= kMostRows) {
    if (g.type == isa::WeightType::kBfloat16) {
      FewRows(g, Bf16Panels{static_cast<const uint16_t*>(g.panels), g.k * kPanel});
    } else {
      FewRows(g, Int8Panels{static_cast<const char*>(g.panels), isa::PanelBytes(g.type, g.k), 0});
    }
    return;
  }
  for (int64_t j = 0; j < g.n; j += kPanel) {
    const int64_t n = g.n - j < kPanel ? g.n - j : kPanel;
    int64_t k0 = 0;
    do {
      const int64_t depth = g.k - k0 < isa::kTileDepth ? g.k - k0 : isa::kTileDepth;
      Widen(g, j / kPanel, k0, depth, g.scratch);
      Matmul<false>(g.a + k0, g.row_stride, 1, g.m, depth, {g.scratch, kPanel}, n, g.c + j, g.ldc,
                    g.accumulate || k0 > 0);
      k0 += depth;
    } while (k0 < g.k);
  }
}

// How many row blocks call the next panel ahead, a half each: all at once would be more lines than
// can be on their way. Worth it where a row block passes a panel once.
constexpr int64_t kCallingBlocks = kVectorRegisters == 32 ? 2 : 0;

static void GemmTile(const isa::GemmTileArgs& g) {
  constexpr int64_t kPanel = isa::kPanel;
  if (g.type != isa::WeightType::kFloat32) return NarrowGemmTile(g);
  const float* panels = static_cast<const float*>(g.panels);
  const bool pack = g.col_stride != 1;
  // A few rows stream all of B once; many rows reuse one panel at a time.
  const bool few = g.m <= kMostRows;
  const int64_t group = few ? (g.n + kPanel - 1) / kPanel * kPanel : kPanel;
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
      const float* panel = panels + j * g.k + k0 * kPanel;
      int64_t calling = few ? 0 : kCallingBlocks;
      for (int64_t i = 0; i < g.m;) {
        const int64_t rows = NextRows(g.m - i);
        const float* from = pack ? g.scratch + i * depth : a + i * g.row_stride;
        const auto multiply = [&](const auto& with) {
          RowBlockOf<false>(rows, from, pack ? 1 : g.row_stride, pack ? rows : 1, depth, with, n,
                            g.c + i * g.ldc + j, g.ldc, accumulate);
        };
        if (few) {
          multiply(FloatPanels{panel, g.k * kPanel});
        } else if (calling > 0) {
          // Behind the last panel lie the next tile's, or the next weights.
          --calling;
          multiply(PanelAndHalf{panel, panel + g.k * kPanel + calling * depth * kLanes});
        } else {
          multiply(MatrixB{panel, kPanel});
        }
        i += rows;
      }
    }
    k0 += depth;
  } while (k0 < g.k);
}

}  // namespace ponder::kernels::PONDER_ISA

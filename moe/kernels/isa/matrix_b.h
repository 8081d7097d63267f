// The right-hand sides that a matrix product can have: plain floats, and packed panels of narrower
// types, widened in registers.
#pragma once

#include <stdint.h>

#include "moe/kernels/isa/simd.h"
#include "moe/kernels/isa/table.h"

namespace ponder::kernels::PONDER_ISA {

// Where MicroTile takes the rows of B [k, columns] from. Each kind of B has From(column), for a
// multiple of 16; kRun, the rows that one Run passes; and Begin<U>(row), for a multiple of kRun: a
// Run over U vectors of 16 columns, whose At(u) is a vector of the row and whose Next() goes on.

// Floats, row-major; row kk is `ld` further on. One packed panel is such a matrix.
struct MatrixB {
  static constexpr int64_t kRun = INT64_MAX;
  const float* data;
  int64_t ld;

  struct Run {
    const float* row;
    int64_t ld;
    PONDER_INLINE_MEMBER const float* Address(int u) const { return row + u * kLanes; }
    PONDER_INLINE_MEMBER F16 At(int u) const { return Load(Address(u)); }
    PONDER_INLINE_MEMBER void Next() { row += ld; }
  };
  PONDER_INLINE_MEMBER MatrixB From(int64_t column) const { return {data + column, ld}; }
  template <int U>
  PONDER_INLINE_MEMBER Run Begin(int64_t row) const {
    return {data + row * ld, ld};
  }
};

// Packed panels of floats that come from memory, with lines called ahead: the processor by itself
// keeps too few of them on their way.
struct FloatPanels {
  static constexpr int64_t kRun = INT64_MAX;
  static constexpr int64_t kAhead = 64 * isa::kPanel;
  const float* data;
  int64_t panel;  // floats of one

  template <int U>
  struct Run {
    const float* row;
    int64_t panel;
    PONDER_INLINE_MEMBER const float* Address(int u) const {
      return row + (u / 2) * panel + (u % 2) * kLanes;
    }
    PONDER_INLINE_MEMBER F16 At(int u) const { return Load(Address(u)); }
    PONDER_INLINE_MEMBER void Next() {
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u) __builtin_prefetch(Address(u) + kAhead, 0, 2);
      row += isa::kPanel;
    }
  };
  PONDER_INLINE_MEMBER FloatPanels From(int64_t column) const {
    return {data + column / isa::kPanel * panel + column % isa::kPanel, panel};
  }
  template <int U>
  PONDER_INLINE_MEMBER Run<U> Begin(int64_t row) const {
    return {data + row * isa::kPanel, panel};
  }
};

// One panel of floats, while half of the next one is called into the second-level cache, a line for
// each row: where every row of B comes from memory, the rows of A behind the first blocks find it
// there.
struct PanelAndHalf {
  static constexpr int64_t kRun = INT64_MAX;
  const float* data;
  const float* half;  // as many lines as the panel has rows; need not be there

  struct Run {
    const float* row;
    const float* line;
    PONDER_INLINE_MEMBER F16 At(int u) const { return Load(row + u * kLanes); }
    PONDER_INLINE_MEMBER void Next() {
      __builtin_prefetch(line, 0, 2);
      row += isa::kPanel;
      line += kLanes;
    }
  };
  PONDER_INLINE_MEMBER PanelAndHalf From(int64_t column) const { return {data + column, half}; }
  template <int U>
  PONDER_INLINE_MEMBER Run Begin(int64_t row) const {
    return {data + row * isa::kPanel, half + row * kLanes};
  }
};

// Packed panels of bfloat16.
struct Bf16Panels {
  static constexpr int64_t kRun = INT64_MAX;
  const uint16_t* data;
  int64_t panel;  // elements of one

  struct Run {
    const uint16_t* row;
    int64_t panel;
    PONDER_INLINE_MEMBER F16 At(int u) const {
      return LoadBf16(row + (u / 2) * panel + (u % 2) * kLanes);
    }
    PONDER_INLINE_MEMBER void Next() { row += isa::kPanel; }
  };
  PONDER_INLINE_MEMBER Bf16Panels From(int64_t column) const {
    return {data + column / isa::kPanel * panel + column % isa::kPanel, panel};
  }
  template <int U>
  PONDER_INLINE_MEMBER Run Begin(int64_t row) const {
    return {data + row * isa::kPanel, panel};
  }
};

// Packed panels of signed bytes. A byte times its scale is exact in a float: whoever widens, the
// chain is the same.
struct Int8Panels {
  static constexpr int64_t kRun = isa::kQuantRows;
  const char* data;
  int64_t panel;  // bytes of one
  int64_t lane;   // where the first vector starts in its panel

  template <int U>
  struct Run {
    F16 scale[U];
    const int8_t* row;
    int64_t panel;
    PONDER_INLINE_MEMBER F16 At(int u) const {
      return Mul(LoadInt8(row + (u / 2) * panel + (u % 2) * kLanes), scale[u]);
    }
    PONDER_INLINE_MEMBER void Next() { row += isa::kPanel; }
  };
  PONDER_INLINE_MEMBER Int8Panels From(int64_t column) const {
    return {data + column / isa::kPanel * panel, panel, column % isa::kPanel};
  }
  template <int U>
  PONDER_INLINE_MEMBER Run<U> Begin(int64_t row) const {
    const char* block = data + row / isa::kQuantRows * isa::kQuantBytes;
    Run<U> run;
    for (int u = 0; u < U; ++u) {
      const auto* scales = reinterpret_cast<const uint16_t*>(block + (u / 2) * panel);
      run.scale[u] = LoadBf16(scales + lane + (u % 2) * kLanes);
    }
    run.row = reinterpret_cast<const int8_t*>(block + isa::kPanel * 2) + lane;
    run.panel = panel;
    return run;
  }
};

}  // namespace ponder::kernels::PONDER_ISA

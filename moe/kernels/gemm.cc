// Packing B, and cutting a product into tiles for the threads.
#include "moe/kernels/gemm.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "moe/kernels/float_formats.h"
#include "moe/kernels/isa/table.h"

namespace ponder::kernels {
namespace {

using isa::kPanel;

// Multiply-adds below which waking the other threads costs more than it saves.
constexpr int64_t kWorthSharing = 1 << 16;
// Floats of a cache line.
constexpr int64_t kLine = 16;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

typedef float Float4 __attribute__((vector_size(16)));

// out[i * kPanel + j] = in[j * stride + i] for i, j < 4.
void Transpose4(const float* in, int64_t stride, float* out) {
  Float4 r[4];
  for (int j = 0; j < 4; ++j) std::memcpy(&r[j], in + j * stride, sizeof(Float4));
  const Float4 a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
  const Float4 b = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
  const Float4 c = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
  const Float4 d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  const Float4 rows[4] = {
      __builtin_shufflevector(a, b, 0, 1, 4, 5), __builtin_shufflevector(a, b, 2, 3, 6, 7),
      __builtin_shufflevector(c, d, 0, 1, 4, 5), __builtin_shufflevector(c, d, 2, 3, 6, 7)};
  for (int i = 0; i < 4; ++i) std::memcpy(out + i * kPanel, &rows[i], sizeof(Float4));
}

// One panel [k, kPanel] of `columns` columns.
void PackPanel(const float* source, int64_t k, int64_t columns, int64_t k_stride, int64_t n_stride,
               float* out) {
  int64_t done_k = 0;
  int64_t done_n = 0;
  if (n_stride == 1) {
    for (int64_t kk = 0; kk < k; ++kk) {
      std::memcpy(out + kk * kPanel, source + kk * k_stride, columns * sizeof(float));
    }
    done_k = k;
    done_n = columns;
  } else if (k_stride == 1) {
    done_k = k / 4 * 4;
    done_n = columns / 4 * 4;
    // A cache line of each column at a time: the columns may lie so that their lines push each
    // other out of the cache.
    for (int64_t line = 0; line < done_k; line += kLine) {
      const int64_t end = std::min(line + kLine, done_k);
      for (int64_t j = 0; j < done_n; j += 4) {
        for (int64_t kk = line; kk < end; kk += 4) {
          Transpose4(source + j * n_stride + kk, n_stride, out + kk * kPanel + j);
        }
      }
    }
  }
  for (int64_t kk = 0; kk < k; ++kk) {
    float* row = out + kk * kPanel;
    for (int64_t j = kk < done_k ? done_n : 0; j < columns; ++j) {
      row[j] = source[kk * k_stride + j * n_stride];
    }
    for (int64_t j = columns; j < kPanel; ++j) row[j] = 0;
  }
}

// A panel of floats [k, kPanel] in a narrower type.
void NarrowPanel(const float* panel, int64_t k, WeightType type, void* out) {
  if (type == WeightType::kBfloat16) {
    auto* to = static_cast<uint16_t*>(out);
    for (int64_t i = 0; i < k * kPanel; ++i) to[i] = ToBf16(panel[i]);
    return;
  }
  for (int64_t k0 = 0; k0 < k; k0 += isa::kQuantRows) {
    auto* scales = static_cast<uint16_t*>(out);
    auto* bytes = reinterpret_cast<int8_t*>(scales + kPanel);
    const int64_t rows = std::min(isa::kQuantRows, k - k0);
    for (int64_t j = 0; j < kPanel; ++j) {
      float most = 0;
      for (int64_t i = 0; i < rows; ++i) {
        most = std::max(most, std::fabs(panel[(k0 + i) * kPanel + j]));
      }
      // The rounded scale, so that bytes make up for its rounding; at the very end of their range
      // they are cut off.
      scales[j] = ToBf16(most / 127);
      const float scale = FromBf16(scales[j]);
      for (int64_t i = 0; i < isa::kQuantRows; ++i) {
        const float value = i < rows && scale > 0 ? panel[(k0 + i) * kPanel + j] / scale : 0;
        bytes[i * kPanel + j] =
            static_cast<int8_t>(std::nearbyint(std::min(127.0f, std::max(-127.0f, value))));
      }
    }
    out = static_cast<char*>(out) + isa::kQuantBytes;
  }
}

// Rows of A against one B: a part of a product that the threads share.
struct Product {
  const float* a;
  int64_t row_stride;
  int64_t col_stride;
  int64_t m;
  const PackedMatrix* b;
  float* c;
  int64_t ldc;
  bool accumulate;
};

// Tiles of a product: blocks of rows by groups of panels.
struct Tiling {
  int64_t rows_per_tile;
  int64_t panels_per_tile;
  int64_t column_tiles;
  int64_t tiles;

  // `threads`: that share them; 1 for a product, or a group of them, that isn't worth it.
  Tiling(const Product& p, int threads) {
    const int64_t panels = CeilDiv(p.b->n(), kPanel);
    const int64_t panel_work = std::max<int64_t>(1, p.b->k() * kPanel);  // of one row
    panels_per_tile = panels;
    if (threads > 1) {
      const int64_t work = std::max<int64_t>(1, std::min(p.m, isa::kTileRows)) * panel_work;
      // At least four panels: a few rows need as many to fill the pipeline.
      panels_per_tile = std::max<int64_t>(4, CeilDiv(kWorthSharing * 2, work));
    }
    column_tiles = CeilDiv(panels, std::max<int64_t>(panels_per_tile, 1));
    int64_t row_tiles = CeilDiv(p.m, isa::kTileRows);
    // Where there are few tiles, as many for each thread, if that leaves tiles that are worth it.
    const int64_t most = p.m * panels * panel_work / (4 * kWorthSharing) / column_tiles;
    for (int64_t more = row_tiles; more <= std::min(most, row_tiles + threads - 1); ++more) {
      if (row_tiles * column_tiles < 4 * threads && more * column_tiles % threads == 0) {
        row_tiles = more;
        break;
      }
    }
    rows_per_tile = std::max<int64_t>(CeilDiv(p.m, row_tiles), 1);
    tiles = CeilDiv(p.m, rows_per_tile) * column_tiles;
  }
};

void RunTile(const Product& p, const Tiling& tiling, int64_t tile) {
  thread_local AlignedBuffer scratch;
  if (p.col_stride != 1 || p.b->type() != WeightType::kFloat32) {
    scratch.Resize(isa::kTileRows * isa::kTileDepth);
  }
  const int64_t row = tile / tiling.column_tiles * tiling.rows_per_tile;
  const int64_t column = tile % tiling.column_tiles * tiling.panels_per_tile * kPanel;
  isa::GemmTileArgs args;
  args.a = p.a + row * p.row_stride;
  args.row_stride = p.row_stride;
  args.col_stride = p.col_stride;
  args.m = std::min(tiling.rows_per_tile, p.m - row);
  args.k = p.b->k();
  args.n = std::min(tiling.panels_per_tile * kPanel, p.b->n() - column);
  args.type = p.b->type();
  args.panels = p.b->panel(column / kPanel);
  args.c = p.c + row * p.ldc + column;
  args.ldc = p.ldc;
  args.accumulate = p.accumulate;
  args.scratch = scratch.data();
  isa::Kernels().gemm_tile(args);
}

}  // namespace

int64_t PackedMatrix::SetShape(int64_t k, int64_t n, WeightType type) {
  k_ = k;
  n_ = n;
  type_ = type;
  return CeilDiv(n, kPanel) * (isa::PanelBytes(type, k) / int64_t{sizeof(float)});
}

void PackedMatrix::PackPanels(ThreadPool& pool, Columns columns, int64_t k_stride,
                              int64_t n_stride) {
  const int64_t panel_floats = isa::PanelBytes(type_, k_) / int64_t{sizeof(float)};
  const int64_t grain =
      std::max<int64_t>(1, CeilDiv(kWorthSharing, std::max<int64_t>(k_, 1) * kPanel));
  pool.ParallelFor(CeilDiv(n_, kPanel), grain, [&](int64_t begin, int64_t end) {
    thread_local AlignedBuffer wide;
    if (type_ != WeightType::kFloat32) wide.Resize(k_ * kPanel);
    for (int64_t p = begin; p < end; ++p) {
      float* out = panels_.data() + p * panel_floats;
      const int64_t count = std::min(kPanel, n_ - p * kPanel);
      PackPanel(columns(p * kPanel, count), k_, count, k_stride, n_stride,
                type_ == WeightType::kFloat32 ? out : wide.data());
      if (type_ != WeightType::kFloat32) NarrowPanel(wide.data(), k_, type_, out);
    }
  });
}

void PackedMatrix::Pack(ThreadPool& pool, const float* source, int64_t k, int64_t n,
                        int64_t k_stride, int64_t n_stride, WeightType type) {
  panels_.Resize(SetShape(k, n, type));
  PackPanels(
      pool, [&](int64_t first, int64_t) { return source + first * n_stride; }, k_stride, n_stride);
}

void PackedMatrix::PackRows(ThreadPool& pool, Rows rows, int64_t k, int64_t n, WeightType type,
                            Arena* arena) {
  panels_ = AlignedBuffer(SetShape(k, n, type), arena);
  const auto columns = [&](int64_t first, int64_t count) {
    thread_local AlignedBuffer scratch;
    scratch.Resize(k * kPanel);
    return rows(first, count, scratch.data());
  };
  PackPanels(pool, columns, /*k_stride=*/1, /*n_stride=*/k);
}

void Gemm(ThreadPool& pool, const float* a, int64_t row_stride, int64_t col_stride, int64_t m,
          const PackedMatrix& b, float* c, int64_t ldc, bool accumulate) {
  PONDER_CHECK(col_stride == 1 || b.type() == WeightType::kFloat32, "a transposed A by a narrow B");
  if (m <= 0 || b.n() <= 0) return;
  const Product product{a, row_stride, col_stride, m, &b, c, ldc, accumulate};
  const Tiling tiling(product, m * b.n() * b.k() > kWorthSharing ? pool.threads() : 1);
  pool.ParallelFor(tiling.tiles, 1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) RunTile(product, tiling, tile);
  });
}

void GroupedGemm(ThreadPool& pool, const float* a, int64_t lda, absl::Span<const int64_t> offsets,
                 absl::Span<const PackedMatrix* const> b, float* c, int64_t ldc) {
  struct Part {
    Product product;
    Tiling tiling;
    int64_t first_tile;
  };
  std::vector<Part> parts;
  int64_t tiles = 0;
  const int64_t rows = offsets.empty() ? 0 : offsets.back() - offsets.front();
  for (size_t e = 0; e + 1 < offsets.size(); ++e) {
    const int64_t m = offsets[e + 1] - offsets[e];
    if (m <= 0 || b[e]->n() <= 0) continue;
    const Product product{a + offsets[e] * lda, lda, 1, m, b[e], c + offsets[e] * ldc, ldc, false};
    const bool share = rows * b[e]->n() * b[e]->k() > kWorthSharing;
    parts.push_back({product, Tiling(product, share ? pool.threads() : 1), tiles});
    tiles += parts.back().tiling.tiles;
  }
  pool.ParallelFor(tiles, 1, [&](int64_t begin, int64_t end) {
    auto part = std::upper_bound(parts.begin(), parts.end(), begin,
                                 [](int64_t tile, const Part& p) { return tile < p.first_tile; }) -
                1;
    for (int64_t tile = begin; tile < end; ++tile) {
      while (tile - part->first_tile >= part->tiling.tiles) ++part;
      RunTile(part->product, part->tiling, tile - part->first_tile);
    }
  });
}

bool ParseWeightType(absl::string_view name, WeightType* type) {
  if (name == "f32") *type = WeightType::kFloat32;
  if (name == "bf16") *type = WeightType::kBfloat16;
  if (name == "int8") *type = WeightType::kInt8;
  return name == "f32" || name == "bf16" || name == "int8";
}

const char* KernelName() { return isa::Kernels().name; }

}  // namespace ponder::kernels

// Queries cut into tiles that share keys, and the pages that hold them; the arithmetic is in
// isa/attention.h.
#include "moe/kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "moe/kernels/aligned_buffer.h"
#include "moe/kernels/isa/table.h"
#include "moe/kernels/sharing.h"

namespace ponder::kernels {
namespace {

static_assert(kKvBlock == isa::kPanel, "a page is multiplied like a panel");

// Queries of a tile, when the heads that share keys are fewer: enough to reuse a page while it is
// near.
constexpr int64_t kTileQueries = 32;

// Floats of a page before the keys of (layer, kv_head).
int64_t PageOffset(const AttentionShape& shape, int64_t layer, int64_t kv_head) {
  return (layer * shape.kv_heads + kv_head) * (shape.head_dim + shape.value_dim) * kKvBlock;
}

// Rows [first, end) of one sequence.
struct RowRange {
  int64_t first;
  int64_t end;
};

// Neighbours that share a list of pages go together, a tileful at most.
std::vector<RowRange> CutIntoTiles(absl::Span<const AttentionRow> rows, int64_t heads_per_kv_head) {
  const int64_t most = std::max<int64_t>(1, kTileQueries / heads_per_kv_head);
  std::vector<RowRange> tiles;
  for (int64_t t = 0; t < static_cast<int64_t>(rows.size()); ++t) {
    if (!tiles.empty() && t - tiles.back().first < most &&
        rows[t].pages == rows[tiles.back().first].pages) {
      ++tiles.back().end;
    } else {
      tiles.push_back({t, t + 1});
    }
  }
  return tiles;
}

}  // namespace

int64_t KvPageFloats(const AttentionShape& shape, int64_t layers) {
  return PageOffset(shape, layers, 0);
}

void StoreKv(ThreadPool& pool, const AttentionShape& shape, int64_t layer, const float* k,
             const float* v, int64_t row_stride, absl::Span<const AttentionRow> rows) {
  const int64_t d = shape.head_dim;
  const int64_t dv = shape.value_dim;
  // A key is spread over as many cache lines as it has elements: the memory takes its time.
  constexpr int64_t kLine = 16;
  const int64_t grain = RowsWorthSharing(shape.kv_heads * d * kLine);
  pool.ParallelFor(static_cast<int64_t>(rows.size()), grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const AttentionRow& row = rows[static_cast<size_t>(t)];
      const int64_t position = row.length - 1;
      const int64_t slot = position % kKvBlock;
      for (int64_t h = 0; h < shape.kv_heads; ++h) {
        float* keys = row.pages[position / kKvBlock] + PageOffset(shape, layer, h);
        const float* from = k + t * row_stride + h * d;
        for (int64_t i = 0; i < d; ++i) keys[i * kKvBlock + slot] = from[i];
        std::memcpy(keys + d * kKvBlock + slot * dv, v + t * row_stride + h * dv,
                    dv * sizeof(float));
      }
    }
  });
}

void AttentionForward(ThreadPool& pool, const AttentionShape& shape, int64_t layer, const float* q,
                      int64_t q_stride, absl::Span<const AttentionRow> rows, float* out,
                      float* lse) {
  if (rows.empty()) return;
  const int64_t d = shape.head_dim;
  const int64_t dv = shape.value_dim;
  const int64_t group = shape.heads / shape.kv_heads;
  const std::vector<RowRange> ranges = CutIntoTiles(rows, group);
  const int64_t tiles = static_cast<int64_t>(ranges.size()) * shape.kv_heads;
  int64_t keys = 0;
  for (const AttentionRow& row : rows) keys += row.length;
  const int64_t cost = keys * shape.heads * d / 4 / tiles;
  // Heads lie side by side in a page: where there are rows enough a thread takes all of one.
  const bool many = static_cast<int64_t>(ranges.size()) >= 4 * pool.threads();
  const int64_t grain = std::max(RowsWorthSharing(cost), many ? shape.kv_heads : 1);
  pool.ParallelFor(tiles, grain, [&](int64_t begin, int64_t end) {
    thread_local AlignedBuffer scratch;
    thread_local std::vector<int64_t> lengths;
    for (int64_t tile = begin; tile < end; ++tile) {
      const RowRange range = ranges[tile / shape.kv_heads];
      const int64_t kv_head = tile % shape.kv_heads;
      const int64_t queries = (range.end - range.first) * group;
      scratch.Resize(queries * (d + dv + kKvBlock + 2));
      lengths.resize(queries);
      float* tile_q = scratch.data();
      isa::AttentionTileArgs args;
      args.queries = queries;
      args.head_dim = d;
      args.value_dim = dv;
      args.scale = shape.scale;
      args.q = tile_q;
      args.lengths = lengths.data();
      args.pages = rows[range.first].pages;
      args.page_offset = PageOffset(shape, layer, kv_head);
      if (tile + 1 < end) {
        const RowRange next = ranges[(tile + 1) / shape.kv_heads];
        args.upcoming =
            rows[next.first].pages[0] + PageOffset(shape, layer, (tile + 1) % shape.kv_heads);
      }
      args.out = tile_q + queries * d;
      args.scores = args.out + queries * dv;
      args.max = args.scores + queries * kKvBlock;
      args.sum = args.max + queries;
      for (int64_t t = range.first; t < range.end; ++t) {
        const int64_t at = (t - range.first) * group;
        std::memcpy(tile_q + at * d, q + t * q_stride + kv_head * group * d,
                    group * d * sizeof(float));
        std::fill_n(lengths.begin() + at, group, rows[t].length);
      }
      isa::Kernels().attention_tile(args);
      for (int64_t t = range.first; t < range.end; ++t) {
        const int64_t at = (t - range.first) * group;
        const int64_t head = t * shape.heads + kv_head * group;
        std::memcpy(out + head * dv, args.out + at * dv, group * dv * sizeof(float));
        for (int64_t h = 0; lse != nullptr && h < group; ++h) {
          lse[head + h] = args.max[at + h] + std::log(args.sum[at + h]);
        }
      }
    }
  });
}

void AttentionBackward(ThreadPool& pool, const AttentionShape& shape,
                       absl::Span<const int64_t> starts, const float* q, const float* k,
                       const float* v, int64_t q_stride, int64_t kv_stride, const float* out,
                       const float* lse, const float* dout, float* dq, float* dk, float* dv,
                       int64_t dq_stride, int64_t dkv_stride) {
  if (starts.size() < 2) return;
  const int64_t d = shape.head_dim;
  const int64_t dv_dim = shape.value_dim;
  const int64_t group = shape.heads / shape.kv_heads;
  const int64_t tasks = static_cast<int64_t>(starts.size() - 1) * shape.kv_heads;
  pool.ParallelFor(tasks, 1, [&](int64_t begin, int64_t end) {
    thread_local AlignedBuffer scratch;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = starts[task / shape.kv_heads];
      const int64_t kv_head = task % shape.kv_heads;
      const int64_t head = kv_head * group;
      isa::AttentionBackwardArgs args;
      args.length = starts[task / shape.kv_heads + 1] - first;
      args.group = group;
      args.head_dim = d;
      args.value_dim = dv_dim;
      args.scale = shape.scale;
      args.q = q + first * q_stride + head * d;
      args.k = k + first * kv_stride + kv_head * d;
      args.v = v + first * kv_stride + kv_head * dv_dim;
      args.q_stride = q_stride;
      args.kv_stride = kv_stride;
      args.out = out + (first * shape.heads + head) * dv_dim;
      args.dout = dout + (first * shape.heads + head) * dv_dim;
      args.out_stride = shape.heads * dv_dim;
      args.lse = lse + first * shape.heads + head;
      args.lse_stride = shape.heads;
      args.dq = dq + first * dq_stride + head * d;
      args.dk = dk + first * dkv_stride + kv_head * d;
      args.dv = dv + first * dkv_stride + kv_head * dv_dim;
      args.dq_stride = dq_stride;
      args.dkv_stride = dkv_stride;
      scratch.Resize(kKvBlock * (2 * kKvBlock + d + dv_dim) + args.length * group);
      args.scratch = scratch.data();
      isa::Kernels().attention_backward_head(args);
    }
  });
}

}  // namespace ponder::kernels

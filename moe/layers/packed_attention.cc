// See packed_attention.h.
#include "moe/layers/packed_attention.h"

#include <vector>

namespace ponder::moe {

void AttendPacked(Workspace& workspace, const kernels::AttentionShape& shape, const Batch& batch,
                  const float* q, const float* k, const float* v, int64_t kv_stride, float* out,
                  float* lse) {
  // Each sequence gets pages of its own for the length of this call, as in inference.
  const int64_t t = batch.size();
  const int64_t page_floats = kernels::KvPageFloats(shape, /*layers=*/1);
  std::vector<int64_t> first_page;
  int64_t num_pages = 0;
  for (size_t s = 0; s + 1 < batch.starts.size(); ++s) {
    first_page.push_back(num_pages);
    const int64_t length = batch.starts[s + 1] - batch.starts[s];
    num_pages += (length + kernels::kKvBlock - 1) / kernels::kKvBlock;
  }
  workspace.kv_pages.Resize(num_pages * page_floats);
  std::vector<float*> pages(num_pages);
  for (int64_t p = 0; p < num_pages; ++p) pages[p] = workspace.kv_pages.data() + p * page_floats;
  std::vector<kernels::AttentionRow> rows(t);
  for (size_t s = 0; s + 1 < batch.starts.size(); ++s) {
    for (int64_t i = batch.starts[s]; i < batch.starts[s + 1]; ++i) {
      rows[i] = {pages.data() + first_page[s], batch.positions[i] + 1};
    }
  }
  kernels::StoreKv(workspace.pool, shape, /*layer=*/0, k, v, kv_stride, rows);
  kernels::AttentionForward(workspace.pool, shape, /*layer=*/0, q, shape.heads * shape.head_dim,
                            rows, out, lse);
}

}  // namespace ponder::moe

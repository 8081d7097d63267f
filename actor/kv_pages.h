// KvPages: the pages of the KV cache. Counted by reference, so that siblings of one prompt share
// its full pages.
#pragma once

#include <cstdint>
#include <vector>

#include "moe/kernels/aligned_buffer.h"

namespace ponder::actor {

// A machine; one thread at a time. Memory is taken in slabs as it is first needed, up to `capacity`
// pages, and kept.
class KvPages {
 public:
  using Page = int32_t;

  KvPages(int64_t capacity, int64_t page_floats);

  // A page with one reference, its contents arbitrary but finite. There must be a free one.
  Page Take();
  void AddReference(Page page);
  // Gives back one reference; without any the page is free again.
  void Release(Page page);
  void CopyContents(Page from, Page to);

  float* data(Page page);
  int64_t free() const;
  int64_t capacity() const { return capacity_; }

 private:
  const int64_t capacity_;
  const int64_t page_floats_;
  const int64_t pages_per_slab_;
  std::vector<kernels::AlignedBuffer> slabs_;
  std::vector<int32_t> references_;  // of every page in `slabs_`
  std::vector<Page> free_;           // of these, the ones without references
};

}  // namespace ponder::actor

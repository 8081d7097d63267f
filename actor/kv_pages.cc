#include "actor/kv_pages.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace ponder::actor {
namespace {

constexpr int64_t kSlabFloats = int64_t{1} << 20;  // 4 MiB

}  // namespace

KvPages::KvPages(int64_t capacity, int64_t page_floats)
    : capacity_(capacity),
      page_floats_(page_floats),
      pages_per_slab_(std::max<int64_t>(1, kSlabFloats / page_floats)) {
  references_.reserve(static_cast<size_t>(capacity));
  free_.reserve(static_cast<size_t>(capacity));
}

KvPages::Page KvPages::Take() {
  if (free_.empty()) {
    const int64_t first = static_cast<int64_t>(references_.size());
    const int64_t count = std::min(pages_per_slab_, capacity_ - first);
    PONDER_CHECK(count > 0, "all ", capacity_, " KV pages are in use");
    slabs_.emplace_back(count * page_floats_);
    references_.resize(static_cast<size_t>(first + count), 0);
    for (int64_t page = first + count - 1; page >= first; --page)
      free_.push_back(static_cast<Page>(page));
  }
  const Page page = free_.back();
  free_.pop_back();
  references_[static_cast<size_t>(page)] = 1;
  return page;
}

void KvPages::AddReference(Page page) { ++references_[static_cast<size_t>(page)]; }

void KvPages::Release(Page page) {
  int32_t& references = references_[static_cast<size_t>(page)];
  PONDER_CHECK(references > 0, "page ", page, " was released too often");
  if (--references == 0) free_.push_back(page);
}

void KvPages::CopyContents(Page from, Page to) {
  std::memcpy(data(to), data(from), static_cast<size_t>(page_floats_) * sizeof(float));
}

float* KvPages::data(Page page) {
  const int64_t slab = page / pages_per_slab_;
  return slabs_[static_cast<size_t>(slab)].data() + page % pages_per_slab_ * page_floats_;
}

int64_t KvPages::free() const {
  return capacity_ - static_cast<int64_t>(references_.size()) + static_cast<int64_t>(free_.size());
}

}  // namespace ponder::actor

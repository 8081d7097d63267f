#include "actor/engine/kv_pages.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace ponder::actor {
namespace {

constexpr int64_t kSlabFloats = int64_t{1} << 20;  // 4 MiB

}  // namespace

KvPages::KvPages(int64_t capacity, int64_t page_floats, int64_t record_bytes)
    : capacity_(capacity),
      page_floats_(page_floats),
      record_bytes_(record_bytes),
      pages_per_slab_(std::max<int64_t>(1, kSlabFloats / page_floats)) {
  entries_.reserve(static_cast<size_t>(capacity));
  blank_.reserve(static_cast<size_t>(capacity));
}

void KvPages::Grow() {
  const int64_t first = grown();
  const int64_t count = std::min(pages_per_slab_, capacity_ - first);
  slabs_.push_back(arena_.Allocate(count * page_floats_));
  records_.emplace_back(static_cast<size_t>(count * record_bytes_));
  entries_.resize(static_cast<size_t>(first + count));
  for (int64_t page = first + count - 1; page >= first; --page)
    blank_.push_back(static_cast<Page>(page));
}

KvPages::Page KvPages::Take() {
  PONDER_CHECK(!OnlyKeptAreFree(), "all ", capacity_, " KV pages are in use or kept");
  if (blank_.empty()) Grow();
  const Page page = blank_.back();
  blank_.pop_back();
  entries_[static_cast<size_t>(page)].references = 1;
  return page;
}

void KvPages::AddReference(Page page) {
  Entry& entry = entries_[static_cast<size_t>(page)];
  if (entry.references == 0) {
    PONDER_CHECK(entry.kept, "page ", page, " is free");
    Unlink(page);
  }
  ++entry.references;
}

void KvPages::Release(Page page) {
  Entry& entry = entries_[static_cast<size_t>(page)];
  PONDER_CHECK(entry.references > 0, "page ", page, " was released too often");
  if (--entry.references > 0) return;
  if (entry.kept) {
    Link(page);
  } else {
    blank_.push_back(page);
  }
}

void KvPages::Keep(Page page) {
  Entry& entry = entries_[static_cast<size_t>(page)];
  PONDER_CHECK(entry.references > 0, "page ", page, " has no contents to keep");
  entry.kept = true;
}

void KvPages::Forget(Page page) {
  Entry& entry = entries_[static_cast<size_t>(page)];
  PONDER_CHECK(entry.kept, "page ", page, " is not kept");
  entry.kept = false;
  if (entry.references > 0) return;
  Unlink(page);
  blank_.push_back(page);
}

void KvPages::Link(Page page) {
  Entry& entry = entries_[static_cast<size_t>(page)];
  entry.older = newest_;
  entry.newer = kNone;
  (newest_ == kNone ? oldest_ : entries_[static_cast<size_t>(newest_)].newer) = page;
  newest_ = page;
  ++kept_free_;
}

void KvPages::Unlink(Page page) {
  const Entry& entry = entries_[static_cast<size_t>(page)];
  (entry.older == kNone ? oldest_ : entries_[static_cast<size_t>(entry.older)].newer) = entry.newer;
  (entry.newer == kNone ? newest_ : entries_[static_cast<size_t>(entry.newer)].older) = entry.older;
  --kept_free_;
}

void KvPages::CopyContents(Page from, Page to) {
  std::memcpy(data(to), data(from), static_cast<size_t>(page_floats_) * sizeof(float));
  if (record_bytes_ > 0) std::memcpy(record(to), record(from), static_cast<size_t>(record_bytes_));
}

float* KvPages::data(Page page) {
  const int64_t slab = page / pages_per_slab_;
  return slabs_[static_cast<size_t>(slab)] + page % pages_per_slab_ * page_floats_;
}

uint8_t* KvPages::record(Page page) {
  const int64_t slab = page / pages_per_slab_;
  return records_[static_cast<size_t>(slab)].data() + page % pages_per_slab_ * record_bytes_;
}

int64_t KvPages::free() const {
  return capacity_ - grown() + static_cast<int64_t>(blank_.size()) + kept_free_;
}

}  // namespace ponder::actor

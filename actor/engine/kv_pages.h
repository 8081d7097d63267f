// KvPages: the pages of the KV cache. Counted by reference, so that sequences share the pages of
// what they have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "moe/kernels/arena.h"

namespace ponder::actor {

// A machine; one thread at a time. Memory is taken in slabs as it is first needed, up to
// `capacity` pages, and kept; of an arena, as the first writes to small system pages took a
// fifth of decoding. A page without references is free. If it has been marked `kept`, its
// contents stay until it is forgotten: of the free pages those are taken last, the longest
// unused first.
class KvPages {
 public:
  using Page = int32_t;
  static constexpr Page kNone = -1;

  // `record_bytes` more of each page are kept apart from the floats, for what belongs to them.
  KvPages(int64_t capacity, int64_t page_floats, int64_t record_bytes = 0);

  // A page with one reference, not kept, its contents arbitrary but finite. There must be a free
  // one; if all of these are kept, the caller forgets OldestKept() first.
  Page Take();
  void AddReference(Page page);
  // Gives back one reference.
  void Release(Page page);
  void CopyContents(Page from, Page to);

  void Keep(Page page);
  void Forget(Page page);
  // Whether Take would need a kept page.
  bool OnlyKeptAreFree() const { return blank_.empty() && grown() == capacity_; }
  // The free page that was released longest ago, of the kept ones; kNone: there is none.
  Page OldestKept() const { return oldest_; }

  float* data(Page page);
  uint8_t* record(Page page);
  int64_t free() const;
  int64_t capacity() const { return capacity_; }
  // Pages that exist: ids run from 0 to this.
  int64_t grown() const { return static_cast<int64_t>(entries_.size()); }

 private:
  struct Entry {
    int32_t references = 0;
    bool kept = false;
    Page older = kNone, newer = kNone;  // neighbours in the list of free kept pages
  };
  void Grow();
  void Link(Page page);
  void Unlink(Page page);

  const int64_t capacity_;
  const int64_t page_floats_;
  const int64_t record_bytes_;
  const int64_t pages_per_slab_;
  kernels::Arena arena_;
  std::vector<float*> slabs_;  // in arena_
  std::vector<std::vector<uint8_t>> records_;  // by slab
  std::vector<Entry> entries_;                 // of every page in `slabs_`
  std::vector<Page> blank_;                    // free and not kept
  Page oldest_ = kNone, newest_ = kNone;
  int64_t kept_free_ = 0;
};

}  // namespace ponder::actor

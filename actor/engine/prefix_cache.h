// PrefixCache: which KV page holds which block of tokens behind which prefix. A later sequence that
// begins with the same tokens takes those pages instead of computing them: the kernels are
// batch-invariant, so what it would compute is the same bits. Keyed by the tokens themselves, not
// by a hash of them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "actor/engine/kv_pages.h"
#include "moe/kernels/attention.h"

namespace ponder::actor {

// A machine; one thread at a time. It holds no references: a known page that no sequence has is
// free, and known until it is taken for something else. Whoever holds a known page holds all those
// before it and releases them last page first; then a block is never forgotten before those behind
// it.
class PrefixCache {
 public:
  using Page = KvPages::Page;

  // `pages` outlives it and is taken from through it alone.
  explicit PrefixCache(KvPages& pages);

  // A page with one reference; there must be a free one. Forgets the oldest block if need be.
  Page Take();
  // The page of the block that comes behind `parent` (KvPages::kNone: the first block), or kNone.
  Page Find(Page parent, absl::Span<const int32_t> block) const;
  // The pages of the leading full blocks of `tokens` that are known, at most `max_blocks`, each
  // with a reference more; appended to `found`.
  void FindPrefix(absl::Span<const int32_t> tokens, int64_t max_blocks,
                  std::vector<Page>* found) const;
  // Makes known that `page`, held by the caller, is that block. False: another page is already.
  bool Insert(Page parent, absl::Span<const int32_t> block, Page page);
  // Forgets everything: new weights.
  void Clear();

 private:
  struct Node {
    Page parent = KvPages::kNone;
    Page next = KvPages::kNone;  // in its bucket
    bool known = false;
    int32_t children = 0;
    std::array<int32_t, kernels::kKvBlock> tokens{};
  };
  size_t BucketOf(Page parent, absl::Span<const int32_t> block) const;
  void Forget(Page page);

  KvPages& pages_;
  std::vector<Node> nodes_;    // by page
  std::vector<Page> buckets_;  // a power of two of them
};

}  // namespace ponder::actor

#include "actor/engine/prefix_cache.h"

#include <algorithm>

#include "base/check.h"

namespace ponder::actor {

PrefixCache::PrefixCache(KvPages& pages) : pages_(pages) {
  size_t buckets = 64;
  while (buckets < static_cast<size_t>(pages.capacity())) buckets *= 2;
  buckets_.assign(buckets, KvPages::kNone);
  nodes_.reserve(static_cast<size_t>(pages.capacity()));
}

PrefixCache::Page PrefixCache::Take() {
  if (const Page oldest = pages_.OldestKept();
      pages_.OnlyKeptAreFree() && oldest != KvPages::kNone) {
    const int32_t children = nodes_[static_cast<size_t>(oldest)].children;
    PONDER_CHECK(children == 0, "page ", oldest, " has ", children, " blocks behind it");
    Forget(oldest);
  }
  const Page page = pages_.Take();
  if (nodes_.size() < static_cast<size_t>(pages_.grown())) {
    nodes_.resize(static_cast<size_t>(pages_.grown()));
  }
  return page;
}

size_t PrefixCache::BucketOf(Page parent, absl::Span<const int32_t> block) const {
  uint64_t hash = static_cast<uint64_t>(parent) + 0x9E3779B97F4A7C15u;
  for (const int32_t token : block) {
    hash = (hash ^ static_cast<uint32_t>(token)) * 0xD6E8FEB86659FD93u;
    hash ^= hash >> 32;
  }
  return static_cast<size_t>(hash) & (buckets_.size() - 1);
}

PrefixCache::Page PrefixCache::Find(Page parent, absl::Span<const int32_t> block) const {
  for (Page page = buckets_[BucketOf(parent, block)]; page != KvPages::kNone;) {
    const Node& node = nodes_[static_cast<size_t>(page)];
    if (node.parent == parent && std::equal(block.begin(), block.end(), node.tokens.begin()))
      return page;
    page = node.next;
  }
  return KvPages::kNone;
}

void PrefixCache::FindPrefix(absl::Span<const int32_t> tokens, int64_t max_blocks,
                             std::vector<Page>* found) const {
  Page parent = KvPages::kNone;
  for (int64_t b = 0; b < max_blocks; ++b) {
    const Page page = Find(parent, tokens.subspan(static_cast<size_t>(b * kernels::kKvBlock),
                                                  static_cast<size_t>(kernels::kKvBlock)));
    if (page == KvPages::kNone) return;
    pages_.AddReference(page);
    found->push_back(page);
    parent = page;
  }
}

bool PrefixCache::Insert(Page parent, absl::Span<const int32_t> block, Page page) {
  PONDER_CHECK(block.size() == static_cast<size_t>(kernels::kKvBlock), block.size(), " tokens");
  if (Find(parent, block) != KvPages::kNone) return false;
  Node& node = nodes_[static_cast<size_t>(page)];
  PONDER_CHECK(!node.known, "page ", page, " is known as another block");
  Page& bucket = buckets_[BucketOf(parent, block)];
  node.parent = parent;
  node.next = bucket;
  node.known = true;
  std::copy(block.begin(), block.end(), node.tokens.begin());
  bucket = page;
  if (parent != KvPages::kNone) ++nodes_[static_cast<size_t>(parent)].children;
  pages_.Keep(page);
  return true;
}

void PrefixCache::Forget(Page page) {
  Node& node = nodes_[static_cast<size_t>(page)];
  Page* link = &buckets_[BucketOf(node.parent, node.tokens)];
  while (*link != page) link = &nodes_[static_cast<size_t>(*link)].next;
  *link = node.next;
  node.known = false;
  if (node.parent != KvPages::kNone) --nodes_[static_cast<size_t>(node.parent)].children;
  pages_.Forget(page);
}

void PrefixCache::Clear() {
  for (size_t page = 0; page < nodes_.size(); ++page) {
    if (nodes_[page].known) Forget(static_cast<Page>(page));
  }
}

}  // namespace ponder::actor

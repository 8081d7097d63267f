#include "actor/engine/prefix_cache.h"

#include <map>

#include "base/philox.h"
#include "gtest/gtest.h"

namespace ponder::actor {
namespace prefix_cache_test {

using Page = KvPages::Page;

std::vector<int32_t> Tokens(std::initializer_list<int32_t> blocks) {
  std::vector<int32_t> tokens;
  for (const int32_t block : blocks) tokens.insert(tokens.end(), kernels::kKvBlock, block);
  return tokens;
}

TEST(PrefixCache, FindsExactPrefixesOnly) {
  KvPages pages(8, 64);
  PrefixCache cache(pages);
  const Page a = cache.Take(), b = cache.Take(), c = cache.Take();
  EXPECT_TRUE(cache.Insert(KvPages::kNone, Tokens({1}), a));
  EXPECT_TRUE(cache.Insert(a, Tokens({2}), b));
  EXPECT_FALSE(cache.Insert(a, Tokens({2}), c)) << "the block has a page";
  const auto find = [&](const std::vector<int32_t>& tokens) {
    std::vector<Page> found;
    cache.FindPrefix(tokens, static_cast<int64_t>(tokens.size()) / kernels::kKvBlock, &found);
    for (const Page page : found) pages.Release(page);
    return found;
  };
  EXPECT_EQ(find(Tokens({1, 2, 3})), (std::vector<Page>{a, b}));
  EXPECT_EQ(find(Tokens({2, 2})), std::vector<Page>{}) << "the same block behind nothing";
  EXPECT_EQ(find(Tokens({1, 1})), std::vector<Page>{a});
  std::vector<int32_t> almost = Tokens({1, 2});
  almost.back() = 3;
  EXPECT_EQ(find(almost), std::vector<Page>{a});
  cache.Clear();
  EXPECT_EQ(find(Tokens({1, 2})), std::vector<Page>{});
}

TEST(PrefixCache, KeepsWhatIsFreeUntilItsPageIsNeeded) {
  KvPages pages(3, 64);
  PrefixCache cache(pages);
  const Page a = cache.Take(), b = cache.Take();
  ASSERT_TRUE(cache.Insert(KvPages::kNone, Tokens({1}), a));
  ASSERT_TRUE(cache.Insert(a, Tokens({2}), b));
  pages.Release(b);
  pages.Release(a);
  EXPECT_EQ(pages.free(), 3);
  const Page c = cache.Take();
  EXPECT_TRUE(c != a && c != b) << "blank pages come first";
  EXPECT_EQ(cache.Find(a, Tokens({2})), b);
  EXPECT_EQ(cache.Take(), b) << "then the block that was released first";
  EXPECT_EQ(cache.Find(a, Tokens({2})), KvPages::kNone);
  EXPECT_EQ(cache.Find(KvPages::kNone, Tokens({1})), a);
  EXPECT_EQ(cache.Take(), a);
  EXPECT_EQ(pages.free(), 0);
  EXPECT_EQ(cache.Find(KvPages::kNone, Tokens({1})), KvPages::kNone);
}

// Sequences that come and go: what is found is what a map of prefixes to contents says, and nothing
// leaks.
TEST(PrefixCache, AgreesWithAMapOfPrefixes) {
  constexpr uint64_t kSeed = 11;
  SCOPED_TRACE(kSeed);
  Rng rng(kSeed, "prefix_cache");
  KvPages pages(24, 64);
  PrefixCache cache(pages);
  struct Holder {
    std::vector<Page> pages;
  };
  std::vector<Holder> holders;
  int64_t found_blocks = 0;
  for (int round = 0; round < 20000; ++round) {
    if (!holders.empty() && (rng.NextInt(0, 1) == 0 || pages.free() < 6)) {
      const size_t at =
          static_cast<size_t>(rng.NextInt(0, static_cast<int64_t>(holders.size()) - 1));
      for (size_t i = holders[at].pages.size(); i-- > 0;) pages.Release(holders[at].pages[i]);
      holders.erase(holders.begin() + static_cast<ptrdiff_t>(at));
      continue;
    }
    if (pages.free() < 6) continue;
    std::vector<int32_t> tokens;
    const int64_t blocks = rng.NextInt(1, 5);
    for (int64_t b = 0; b < blocks; ++b)
      tokens.insert(tokens.end(), kernels::kKvBlock, static_cast<int32_t>(rng.NextInt(0, 2)));
    Holder holder;
    cache.FindPrefix(tokens, blocks, &holder.pages);
    found_blocks += static_cast<int64_t>(holder.pages.size());
    // The contents of a page stand for the prefix that it was written for.
    float prefix = 1;
    for (int64_t b = 0; b < blocks; ++b) {
      prefix = prefix * 4 + static_cast<float>(tokens[static_cast<size_t>(b * kernels::kKvBlock)]);
      if (b < static_cast<int64_t>(holder.pages.size())) {
        ASSERT_EQ(pages.data(holder.pages[static_cast<size_t>(b)])[0], prefix);
        continue;
      }
      const Page parent = b == 0 ? KvPages::kNone : holder.pages.back();
      holder.pages.push_back(cache.Take());
      pages.data(holder.pages.back())[0] = prefix;
      ASSERT_TRUE(cache.Insert(parent,
                               absl::MakeConstSpan(tokens).subspan(
                                   static_cast<size_t>(b * kernels::kKvBlock), kernels::kKvBlock),
                               holder.pages.back()));
    }
    holders.push_back(std::move(holder));
    if (rng.NextInt(0, 500) == 0) {
      for (Holder& h : holders) {
        for (size_t i = h.pages.size(); i-- > 0;) pages.Release(h.pages[i]);
      }
      holders.clear();
      cache.Clear();
    }
  }
  EXPECT_GT(found_blocks, 5000);
  for (Holder& h : holders) {
    for (size_t i = h.pages.size(); i-- > 0;) pages.Release(h.pages[i]);
  }
  EXPECT_EQ(pages.free(), 24);
}

}  // namespace prefix_cache_test
}  // namespace ponder::actor

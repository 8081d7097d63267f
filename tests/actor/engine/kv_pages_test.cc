#include "actor/engine/kv_pages.h"

#include <set>

#include "gtest/gtest.h"

namespace ponder::actor {
namespace kv_pages_test {

TEST(KvPages, HandsOutEachPageOnceUpToItsCapacity) {
  KvPages pages(1000, 4096);  // several slabs, the last one short
  std::set<KvPages::Page> taken;
  std::set<float*> memory;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(pages.free(), 1000 - i);
    const KvPages::Page page = pages.Take();
    EXPECT_TRUE(taken.insert(page).second);
    EXPECT_TRUE(memory.insert(pages.data(page)).second);
    pages.data(page)[0] = static_cast<float>(page);
    pages.data(page)[4095] = static_cast<float>(page);
  }
  for (KvPages::Page page : taken) {
    EXPECT_EQ(pages.data(page)[0], static_cast<float>(page));
    EXPECT_EQ(pages.data(page)[4095], static_cast<float>(page));
  }
  EXPECT_DEATH(pages.Take(), "in use");
  for (KvPages::Page page : taken) pages.Release(page);
  EXPECT_EQ(pages.free(), 1000);
}

TEST(KvPages, APageIsFreeWhenItsLastReferenceIsGone) {
  KvPages pages(2, 8);
  const KvPages::Page page = pages.Take();
  pages.AddReference(page);
  pages.Release(page);
  EXPECT_EQ(pages.free(), 1);
  pages.Release(page);
  EXPECT_EQ(pages.free(), 2);
  EXPECT_DEATH(pages.Release(page), "too often");
}

TEST(KvPages, ACopyIsIndependent) {
  KvPages pages(2, 8);
  const KvPages::Page a = pages.Take();
  const KvPages::Page b = pages.Take();
  for (int i = 0; i < 8; ++i) pages.data(a)[i] = static_cast<float>(i);
  pages.CopyContents(a, b);
  pages.data(a)[3] = -1;
  EXPECT_EQ(pages.data(b)[3], 3);
  EXPECT_EQ(pages.data(b)[7], 7);
}

}  // namespace kv_pages_test
}  // namespace ponder::actor

// Memo: made once, for all who ask; bounded; nothing kept that is not to be.
#include "verifier/code/memo.h"

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"
#include "gtest/gtest.h"

namespace ponder::verifier {
namespace {

using Numbers = Memo<int>;

// Each call makes the next number.
struct Counter {
  int calls = 0;
  size_t bytes = 1;
  bool keep = true;
  absl::StatusOr<Numbers::Made> operator()() { return Numbers::Made{++calls, bytes, keep}; }
};

TEST(Memo, RemembersByKey) {
  Numbers memo(1000);
  Counter counter;
  EXPECT_EQ(*memo.Get("a", absl::InfiniteFuture(), std::ref(counter)), 1);
  EXPECT_EQ(*memo.Get("b", absl::InfiniteFuture(), std::ref(counter)), 2);
  EXPECT_EQ(*memo.Get("a", absl::InfiniteFuture(), std::ref(counter)), 1);
}

TEST(Memo, ForgetsTheOldestBeyondItsBytes) {
  Numbers memo(100);
  Counter counter{0, 45};
  for (const char* key : {"a", "b", "c"}) {
    ASSERT_TRUE(memo.Get(key, absl::InfiniteFuture(), std::ref(counter)).ok());
  }
  EXPECT_EQ(*memo.Get("c", absl::InfiniteFuture(), std::ref(counter)), 3);
  EXPECT_EQ(*memo.Get("b", absl::InfiniteFuture(), std::ref(counter)), 2);
  EXPECT_EQ(*memo.Get("a", absl::InfiniteFuture(), std::ref(counter)), 4);
}

TEST(Memo, OfNoBytesMakesEach) {
  Numbers memo(0);
  Counter counter;
  EXPECT_EQ(*memo.Get("a", absl::InfiniteFuture(), std::ref(counter)), 1);
  EXPECT_EQ(*memo.Get("a", absl::InfiniteFuture(), std::ref(counter)), 2);
}

TEST(Memo, KeepsNeitherErrorsNorWhatIsNotToBeKept) {
  Numbers memo(1000);
  Counter counter{0, 1, false};
  const auto fails = []() -> absl::StatusOr<Numbers::Made> { return absl::InternalError("no"); };
  EXPECT_EQ(memo.Get("a", absl::InfiniteFuture(), fails).status().message(), "no");
  EXPECT_EQ(*memo.Get("a", absl::InfiniteFuture(), std::ref(counter)), 1);
  EXPECT_EQ(*memo.Get("a", absl::InfiniteFuture(), std::ref(counter)), 2);
}

// One makes it while seven ask; `keep` says whether they get it or make their own.
int CallsForEight(bool keep) {
  Numbers memo(1000);
  std::atomic<int> calls{0}, asking{0};
  absl::Notification may_end;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      if (++asking == 8) may_end.Notify();
      const absl::StatusOr<int> value =
          memo.Get("a", absl::InfiniteFuture(), [&]() -> absl::StatusOr<Numbers::Made> {
            may_end.WaitForNotification();
            return Numbers::Made{++calls, 1, keep};
          });
      EXPECT_TRUE(value.ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  return calls;
}

TEST(Memo, TwinsWaitForOne) { EXPECT_EQ(CallsForEight(true), 1); }

TEST(Memo, TwinsOfWhatIsNotKeptMakeTheirOwn) { EXPECT_EQ(CallsForEight(false), 8); }

TEST(Memo, WaitsNoLongerThanItsDeadline) {
  Numbers memo(1000);
  absl::Notification begun, may_end;
  std::thread first([&] {
    EXPECT_TRUE(memo.Get("a", absl::InfiniteFuture(), [&]() -> absl::StatusOr<Numbers::Made> {
                      begun.Notify();
                      may_end.WaitForNotification();
                      return Numbers::Made{1, 1};
                    }).ok());
  });
  begun.WaitForNotification();
  Counter counter;
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      memo.Get("a", SteadyNow() + absl::Milliseconds(5), std::ref(counter)).status()));
  EXPECT_EQ(counter.calls, 0);
  may_end.Notify();
  first.join();
}

}  // namespace
}  // namespace ponder::verifier

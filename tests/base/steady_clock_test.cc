#include "base/steady_clock.h"

#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace ponder {
namespace steady_clock_test {

constexpr absl::Duration kShort = absl::Milliseconds(20), kLong = absl::Minutes(10);

TEST(SteadyNow, OnlyGrows) {
  absl::Time last = SteadyNow();
  for (int i = 0; i < 1000; ++i) {
    const absl::Time now = SteadyNow();
    ASSERT_GE(now, last);
    last = now;
  }
}

class AwaitUntilTest : public testing::Test {
 protected:
  bool Await(absl::Time deadline) {
    absl::MutexLock lock(&mutex_);
    return AwaitUntil(mutex_, absl::Condition(&done_), deadline);
  }
  void Finish() {
    absl::MutexLock lock(&mutex_);
    done_ = true;
  }

  absl::Mutex mutex_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
};

TEST_F(AwaitUntilTest, GivesUpAtItsDeadlineAndNotBefore) {
  EXPECT_FALSE(Await(absl::InfinitePast()));
  const absl::Time start = SteadyNow();
  EXPECT_FALSE(Await(start + kShort));
  EXPECT_GE(SteadyNow(), start + kShort);
}

TEST_F(AwaitUntilTest, HoldsWithoutWaiting) {
  Finish();
  EXPECT_TRUE(Await(absl::InfinitePast()));
  EXPECT_TRUE(Await(absl::InfiniteFuture()));
}

TEST_F(AwaitUntilTest, IsWokenByTheCondition) {
  for (const absl::Time deadline : {SteadyNow() + kLong, absl::InfiniteFuture()}) {
    std::thread waiting([&] { EXPECT_TRUE(Await(deadline)); });
    Finish();
    waiting.join();
    absl::MutexLock lock(&mutex_);
    done_ = false;
  }
}

// One whose mutex is held when its deadline comes keeps nobody else waiting.
TEST_F(AwaitUntilTest, ManyWaitAtOnce) {
  std::thread patient([&] { EXPECT_TRUE(Await(SteadyNow() + kLong)); });
  absl::Mutex held;
  absl::Notification waits, let_go;
  const bool never = false;
  std::thread late([&] {
    absl::MutexLock lock(&held);
    waits.Notify();
    EXPECT_FALSE(AwaitUntil(held, absl::Condition(&never), SteadyNow() + kShort));
    EXPECT_TRUE(let_go.HasBeenNotified());
  });
  waits.WaitForNotification();
  {
    absl::MutexLock lock(&held);  // free, now that `late` waits
    std::vector<std::thread> others;
    for (int i = 0; i < 20; ++i) {
      others.emplace_back([this, i] { EXPECT_FALSE(Await(SteadyNow() + kShort * (2 + i % 3))); });
    }
    for (std::thread& other : others) other.join();
    let_go.Notify();
  }
  late.join();
  Finish();
  patient.join();
}

}  // namespace steady_clock_test
}  // namespace ponder

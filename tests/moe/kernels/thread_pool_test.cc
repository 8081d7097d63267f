// Every index once, whatever the sizes and however many loops follow one another.
#include "moe/kernels/thread_pool.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace ponder::kernels {
namespace thread_pool_test {

TEST(ThreadPool, VisitsEveryIndexOnce) {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t n : {0, 1, 2, 63, 1000}) {
      for (int64_t grain : {1, 7, 64, 5000}) {
        std::vector<std::atomic<int>> visits(n);
        pool.ParallelFor(n, grain, [&](int64_t begin, int64_t end) {
          EXPECT_EQ(begin % grain, 0);
          EXPECT_TRUE(threads == 1 || end == n || end - begin == grain);
          for (int64_t i = begin; i < end; ++i) ++visits[i];
        });
        for (int64_t i = 0; i < n; ++i) ASSERT_EQ(visits[i], 1) << n << " by " << grain;
      }
    }
  }
}

// What one loop wrote without atomics, the next one and the caller read.
TEST(ThreadPool, OrdersALoopAfterTheOneBefore) {
  ThreadPool pool(3);
  std::vector<int64_t> x(257, 0);
  for (int loop = 0; loop < 2000; ++loop) {
    pool.ParallelFor(257, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++x[256 - i];
    });
  }
  EXPECT_EQ(x, std::vector<int64_t>(257, 2000));
}

// Each range waits for the other: one thread alone would wait for ever.
TEST(ThreadPool, RunsRangesAtTheSameTime) {
  ThreadPool pool(2);
  for (int loop = 0; loop < 20; ++loop) {
    absl::Notification entered[2];
    std::thread::id ids[2];
    pool.ParallelFor(2, 1, [&](int64_t begin, int64_t) {
      ids[begin] = std::this_thread::get_id();
      entered[begin].Notify();
      EXPECT_TRUE(entered[1 - begin].WaitForNotificationWithTimeout(absl::Seconds(60)));
    });
    EXPECT_NE(ids[0], ids[1]);
  }
}

TEST(ThreadPool, RunsAloneOnTheThreadOfItsCaller) {
  ThreadPool pool(1);
  std::thread::id id;
  int calls = 0;
  pool.ParallelFor(100, 3, [&](int64_t begin, int64_t end) {
    id = std::this_thread::get_id();
    ++calls;
    EXPECT_EQ(end - begin, 100);
  });
  EXPECT_EQ(id, std::this_thread::get_id());
  EXPECT_EQ(calls, 1);
}

TEST(ThreadPool, StopsWhileItsThreadsWait) {
  for (int i = 0; i < 50; ++i) {
    auto pool = std::make_unique<ThreadPool>(4);
    if (i % 2 == 0) pool->ParallelFor(8, 1, [](int64_t, int64_t) {});
  }
}

}  // namespace thread_pool_test
}  // namespace ponder::kernels

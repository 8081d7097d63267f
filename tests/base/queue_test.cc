#include "base/queue.h"

#include <memory>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/steady_clock.h"
#include "gtest/gtest.h"

namespace ponder {
namespace queue_test {

TEST(Queue, IsFirstInFirstOutAndBounded) {
  Queue<int> queue(2);
  EXPECT_TRUE(queue.Push(1));
  EXPECT_TRUE(queue.TryPush(2));
  EXPECT_FALSE(queue.TryPush(3));
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_TRUE(queue.TryPush(3));
  EXPECT_EQ(queue.Pop(), 2);
  EXPECT_EQ(queue.Pop(), 3);
}

TEST(Queue, PopGivesUpAtItsDeadline) {
  Queue<int> queue(1);
  EXPECT_EQ(queue.Pop(absl::InfinitePast()), std::nullopt);
  EXPECT_EQ(queue.Pop(SteadyNow() + absl::Milliseconds(1)), std::nullopt);
  ASSERT_TRUE(queue.Push(1));
  EXPECT_EQ(queue.Pop(absl::InfinitePast()), 1);
}

TEST(Queue, CloseFailsPushesAndDrainsPops) {
  Queue<int> queue(3);
  ASSERT_TRUE(queue.Push(1));
  ASSERT_TRUE(queue.Push(2));
  queue.Close();
  EXPECT_FALSE(queue.Push(3));
  EXPECT_FALSE(queue.TryPush(3));
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), 2);
  EXPECT_EQ(queue.Pop(), std::nullopt);
  queue.Close();
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(Queue, CloseWakesWhoeverWaits) {
  Queue<int> empty(1), full(1);
  ASSERT_TRUE(full.Push(1));
  std::thread popper([&] { EXPECT_EQ(empty.Pop(), std::nullopt); });
  std::thread pusher([&] { EXPECT_FALSE(full.Push(2)); });
  empty.Close();
  full.Close();
  popper.join();
  pusher.join();
}

TEST(Queue, PushWaitsForRoom) {
  Queue<int> queue(1);
  constexpr int kItems = 1000;
  std::thread pusher([&] {
    for (int i = 0; i < kItems; ++i) EXPECT_TRUE(queue.Push(i));
  });
  for (int i = 0; i < kItems; ++i) EXPECT_EQ(queue.Pop(), i);
  pusher.join();
}

TEST(Queue, EveryItemIsPoppedOnce) {
  Queue<std::unique_ptr<int>> queue(3);
  constexpr int kThreads = 3, kItems = 500;
  std::vector<std::thread> pushers, poppers;
  std::vector<std::vector<int>> popped(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    pushers.emplace_back([&, t] {
      for (int i = 0; i < kItems; ++i)
        EXPECT_TRUE(queue.Push(std::make_unique<int>(t * kItems + i)));
    });
    poppers.emplace_back([&, t] {
      while (auto item = queue.Pop()) popped[t].push_back(**item);
    });
  }
  for (std::thread& thread : pushers) thread.join();
  queue.Close();
  for (std::thread& thread : poppers) thread.join();
  std::vector<int> times(kThreads * kItems, 0);
  for (const auto& items : popped) {
    for (const int item : items) ++times[item];
  }
  EXPECT_EQ(times, std::vector<int>(kThreads * kItems, 1));
}

}  // namespace queue_test
}  // namespace ponder

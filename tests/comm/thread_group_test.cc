#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"
#include "comm/group.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/comm/conformance.h"

namespace ponder::comm {
namespace thread_group_test {

using ::testing::HasSubstr;

// Each rank in its own thread, which gives its group up when `body` returns.
void RunRanks(int size, const std::function<void(Group&)>& body, const GroupOptions& options = {}) {
  std::vector<std::unique_ptr<Group>> groups = MakeThreadGroup(size, options);
  std::vector<std::thread> threads;
  for (std::unique_ptr<Group>& group : groups) {
    threads.emplace_back([&body, mine = std::move(group)]() mutable {
      body(*mine);
      mine.reset();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

GroupOptions Timeout(absl::Duration timeout) {
  GroupOptions options;
  options.timeout = timeout;
  return options;
}

TEST(SoloGroup, Conforms) {
  const std::unique_ptr<Group> group = MakeSoloGroup();
  CheckConformance(*group);
}

class ThreadGroupOf : public testing::TestWithParam<int> {};

TEST_P(ThreadGroupOf, Conforms) { RunRanks(GetParam(), CheckConformance); }

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadGroupOf, testing::Values(1, 2, 3, 4));

TEST(ThreadGroup, SumsInRankOrder) {
  // (1 + 2^24) + -2^24 is 0 in float32; 1 + (2^24 + -2^24) would be 1.
  const float terms[] = {1, 16777216, -16777216};
  RunRanks(3, [&terms](Group& group) {
    float x = terms[group.rank()];
    ASSERT_EQ(group.AllReduceSum(absl::MakeSpan(&x, 1)), absl::OkStatus());
    EXPECT_EQ(x, 0.0f);
  });
}

TEST(ThreadGroup, NamesTheRankThatHangs) {
  absl::Notification others_are_done;
  std::atomic<int> waiting{3};
  RunRanks(
      4,
      [&](Group& group) {
        ASSERT_EQ(group.Barrier(), absl::OkStatus());
        if (group.rank() == 2) {
          others_are_done.WaitForNotificationWithTimeout(absl::Seconds(30));
          // It comes too late: the group is broken, and it is told why.
          EXPECT_THAT(std::string(group.Barrier().message()), HasSubstr("rank 2 of 4"));
          return;
        }
        std::vector<float> x(5);
        const absl::Status status = group.AllReduceSum(absl::MakeSpan(x));
        EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
        EXPECT_EQ(std::string(status.message()),
                  "AllReduceSum of 5 float32: rank 2 of 4 did not come within 200ms");
        EXPECT_EQ(group.Barrier(), status);  // at once, with the first error
        if (--waiting == 0) others_are_done.Notify();
      },
      Timeout(absl::Milliseconds(200)));
}

TEST(ThreadGroup, NamesTheRanksThatLeaveWithoutWaiting) {
  const absl::Time start = SteadyNow();
  RunRanks(
      4,
      [](Group& group) {
        if (group.rank() == 1 || group.rank() == 3) return;
        absl::Status status;
        while (status.ok()) status = group.Barrier();  // rank 1 may leave well before rank 3
        EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
        EXPECT_THAT(std::string(status.message()), HasSubstr("left the group"));
        EXPECT_THAT(std::string(status.message()), testing::ContainsRegex("ranks? [13]"));
      },
      Timeout(absl::Hours(1)));
  EXPECT_LT(SteadyNow() - start, absl::Minutes(30));
}

TEST(ThreadGroup, AFailingRankFailsTheOthers) {
  RunRanks(
      2,
      [](Group& group) {
        std::vector<uint8_t> in(4), out(8);
        if (group.rank() == 1) {
          const absl::Status status = group.AllGather(in, absl::MakeSpan(out).first(7));
          EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
          EXPECT_THAT(std::string(status.message()), HasSubstr("4 bytes from each of 2 ranks"));
        } else {
          const absl::Status status = group.AllGather(in, absl::MakeSpan(out));
          EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
          EXPECT_THAT(std::string(status.message()), HasSubstr("rank 1 of 2 failed: AllGather"));
        }
      },
      Timeout(absl::Hours(1)));
}

TEST(ThreadGroup, RanksThatCallDifferentThingsAreTold) {
  RunRanks(2, [](Group& group) {
    std::vector<float> x(group.rank() == 0 ? 3 : 4);
    const absl::Status status = group.AllReduceSum(absl::MakeSpan(x));
    EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(
        std::string(status.message()),
        HasSubstr("rank 0 called AllReduceSum of 3 float32, rank 1 called AllReduceSum of 4"));
  });
}

TEST(ThreadGroup, AllToAllCountsMustMatch) {
  RunRanks(2, [](Group& group) {
    const std::vector<float> in(2);
    const std::vector<int64_t> one = {1, 1}, wrong = {1, 3};
    std::vector<float> out(group.rank() == 0 ? 4 : 2);
    const absl::Status status =
        group.AllToAll(in, one, absl::MakeSpan(out), group.rank() == 0 ? wrong : one);
    if (group.rank() == 0) {
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr("rank 1 sends 1 floats to rank 0, which expects 3"));
    }
    EXPECT_FALSE(group.Barrier().ok());
  });
}

TEST(ThreadGroup, ArgumentsAreChecked) {
  const std::vector<std::unique_ptr<Group>> groups = MakeThreadGroup(1);
  Group& group = *groups[0];
  std::vector<float> x(2);
  const std::vector<int64_t> negative = {-2};
  EXPECT_EQ(group.AllToAll(x, negative, absl::MakeSpan(x), negative).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeSoloGroup()->Broadcast({}, 1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeSoloGroup()->Split(-1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ThreadGroup, APartFailsAlone) {
  RunRanks(3, [](Group& group) {
    auto part = group.Split(group.rank() == 0 ? 0 : 1);
    ASSERT_EQ(part.status(), absl::OkStatus());
    if (group.rank() == 1) part->reset();
    if (group.rank() == 2) {
      EXPECT_EQ(std::string((*part)->Barrier().message()), "Barrier: rank 0 of 2 left the group");
    }
    EXPECT_EQ(group.Barrier(), absl::OkStatus());
  });
}

}  // namespace thread_group_test
}  // namespace ponder::comm

// A process whose wall clock is set while it works: deadlines come when they would have come.
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/queue.h"
#include "base/steady_clock.h"
#include "gtest/gtest.h"
#include "learner/sample_pool.h"
#include "proto/transport.h"
#include "tests/learner/pool_fixture.h"
#include "tests/verifier/server_fixture.h"

namespace {
std::atomic<int64_t> step_seconds{0};
}

// This program's own, in place of the C library's, for all shared libraries too. The kernel knows
// nothing of the step, so a wait by the wall clock is wrong by all of it.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const long status = syscall(SYS_clock_gettime, clock, time);
  if (status == 0 && clock == CLOCK_REALTIME) time->tv_sec += step_seconds;
  return static_cast<int>(status);
}

namespace ponder {
namespace clock_step_test {

constexpr absl::Duration kShort = absl::Milliseconds(20);

void Step(int hours) { step_seconds += 3600 * hours; }

class ClockStep : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { SteadyNow(); }
  void TearDown() override { step_seconds = 0; }
};
INSTANTIATE_TEST_SUITE_P(ForwardAndBack, ClockStep, testing::Values(1, -1));

TEST_P(ClockStep, MovesTheWallClockAlone) {
  const absl::Time wall = absl::Now(), steady = SteadyNow();
  Step(GetParam());
  EXPECT_GT(absl::AbsDuration(absl::Now() - wall), absl::Minutes(50));
  EXPECT_LT(absl::AbsDuration(SteadyNow() - steady), absl::Minutes(10));
}

TEST_P(ClockStep, EndsNoWaitEarlyOrLate) {
  Queue<int> queue(1);
  Step(GetParam());
  const absl::Time start = SteadyNow();
  EXPECT_EQ(queue.Pop(start + kShort), std::nullopt);
  EXPECT_GE(SteadyNow(), start + kShort);
}

TEST_P(ClockStep, LeavesTheConditionItsSay) {
  Queue<int> queue(1);
  std::thread pusher([&] { queue.Push(7); });
  Step(GetParam());
  EXPECT_EQ(queue.Pop(SteadyNow() + absl::Minutes(10)), 7);
  pusher.join();
}

class PoolUnderSteps : public learner::PoolFixture, public testing::WithParamInterface<int> {
 protected:
  void TearDown() override {
    step_seconds = 0;
    PoolFixture::TearDown();
  }
};
INSTANTIATE_TEST_SUITE_P(ForwardAndBack, PoolUnderSteps, testing::Values(1, -1));

TEST_P(PoolUnderSteps, LosesNoLease) {
  learner::SamplePool::Options options;
  options.group_size = 2;
  options.groups_per_step = 1;
  options.lease = absl::Minutes(20);
  const auto pool = MakePool(options, 3);
  const auto held = pool->LeaseSamples("a", 1, 2, SteadyNow());
  ASSERT_TRUE(held.ok()) << held.status();
  ASSERT_EQ(held->leases.size(), 2u);
  Step(GetParam());
  const auto left = pool->LeaseSamples("b", 1, 2, SteadyNow() + kShort);
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_TRUE(left->leases.empty()) << "what a holds is not over";
  const auto outcome = pool->Submit("a", 1, {learner::MixedAnswer(held->leases[0])});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ((*outcome)[0].outcome, learner::SamplePool::SubmitOutcome::kAccepted);
}

// Says how many seconds are left, after the wall clock was set once more.
class SecondsLeft final : public verifier::Grader {
 public:
  explicit SecondsLeft(int hours) : hours_(hours) {}
  Verdict Grade(const verifier::Question& question, absl::Time deadline) const override {
    Step(hours_);
    Verdict verdict;
    verdict.extracted = deadline == absl::InfiniteFuture()
                            ? "any"
                            : absl::StrCat(absl::ToInt64Seconds(deadline - SteadyNow()));
    return verdict;
  }
  absl::Status CheckGold(absl::string_view gold) const override { return absl::OkStatus(); }

 private:
  const int hours_;
};

class ServerUnderSteps : public verifier::ServerTest, public testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    verifier::Graders::Map map;
    map["clock"] = std::make_unique<SecondsLeft>(GetParam());
    StartServer(verifier::Graders(std::move(map)));
  }
  void TearDown() override { step_seconds = 0; }
};
INSTANTIATE_TEST_SUITE_P(ForwardAndBack, ServerUnderSteps, testing::Values(1, -1));

TEST_P(ServerUnderSteps, PassesTheDeadlineToTheGrader) {
  grpc::ClientContext context;
  context.set_deadline(proto::ToGrpc(SteadyNow() + absl::Seconds(900)));
  Step(GetParam());
  v1::GradeResponse response;
  const grpc::Status status = stub_->Grade(&context, Request("a", "clock", "", ""), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  int64_t left = 0;
  ASSERT_TRUE(absl::SimpleAtoi(response.verdict().extracted(), &left));
  EXPECT_LE(left, 901);  // gRPC rounds up
  EXPECT_GT(left, 600);
}

TEST_P(ServerUnderSteps, NoDeadlineStaysNone) {
  grpc::ClientContext context;
  v1::GradeResponse response;
  const grpc::Status status = stub_->Grade(&context, Request("a", "clock", "", ""), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.verdict().extracted(), "any");
}

TEST_P(ServerUnderSteps, ShutsDownInItsGrace) {
  grpc::ClientContext context;
  const auto stream = stub_->GradeStream(&context);
  ASSERT_TRUE(stream->Write(Request("a", "clock", "", "")));
  v1::GradeResponse response;
  ASSERT_TRUE(stream->Read(&response));
  const absl::Time start = SteadyNow();
  server_->Shutdown(kShort);  // an idle stream would stay
  EXPECT_GE(SteadyNow(), start + kShort);
  EXPECT_FALSE(stream->Finish().ok());
}

}  // namespace clock_step_test
}  // namespace ponder

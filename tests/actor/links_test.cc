// The gRPC links against real servers, whole ones and broken ones.
#include "actor/links.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/convert.h"
#include "proto/learner.grpc.pb.h"
#include "tests/actor/actor_fixture.h"

namespace ponder::actor {
namespace links_test {

using learner::MixedAnswer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

GrpcLearnerOptions To(const std::string& address, absl::Duration patience = absl::Minutes(1)) {
  GrpcLearnerOptions options;
  options.address = address;
  options.actor = "actor.0";
  options.incarnation = 1;
  options.patience = patience;
  return options;
}

class LearnerLinkTest : public ActorFixture {
 protected:
  static learner::SamplePool::Options Small() {
    learner::SamplePool::Options options;
    options.group_size = 2;
    options.groups_per_step = 3;
    return options;
  }
};

TEST_F(LearnerLinkTest, LeasesAndSubmits) {
  StartLearner(Small(), 10);
  const auto link = MakeGrpcLearnerLink(To(service_->address()));
  const auto batch = link->LeaseSamples(4, -1, absl::ZeroDuration());
  ASSERT_TRUE(batch.ok()) << batch.status();
  ASSERT_EQ(batch->leases.size(), 4u);
  ASSERT_EQ(batch->prompts.size(), 2u);
  EXPECT_EQ(batch->prompts[0].messages[0].role, "user");
  EXPECT_EQ(batch->life, 0);
  Sample unknown = MixedAnswer(batch->leases[2]);
  unknown.rollout.attempt = 7;
  const auto counts = link->Submit({MixedAnswer(batch->leases[0]), MixedAnswer(batch->leases[0]),
                                    MixedAnswer(batch->leases[1]), unknown});
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->accepted, 2);
  EXPECT_EQ(counts->duplicate, 1);
  EXPECT_EQ(counts->expired, 0);
  EXPECT_EQ(counts->rejected, 1);
  EXPECT_THAT(counts->first_rejection, HasSubstr("attempt 7"));
  GrpcLearnerOptions restarted = To(service_->address());
  restarted.incarnation = 2;
  ASSERT_TRUE(MakeGrpcLearnerLink(restarted)->LeaseSamples(1, -1, absl::ZeroDuration()).ok());
  EXPECT_EQ(link->LeaseSamples(1, -1, absl::ZeroDuration()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(link->Submit({MixedAnswer(batch->leases[2])})->expired, 1);
  ASSERT_TRUE(pool_->Finish().ok());
  EXPECT_TRUE(link->LeaseSamples(1, -1, absl::Minutes(1))->run_finished);
}

TEST_F(LearnerLinkTest, FetchesTheNewestModel) {
  StartLearner(Small(), 10);
  const auto link = MakeGrpcLearnerLink(To(service_->address()));
  EXPECT_EQ(link->FetchWeights(0, absl::Milliseconds(1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  std::thread publishes([&] {
    EXPECT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 3)).ok());
    EXPECT_TRUE(weights_->Publish(WeightsOf(TinyConfig(), 5)).ok());
  });
  const auto model = link->FetchWeights(4, absl::Minutes(1));
  publishes.join();
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->weights->manifest().version, 5);
  EXPECT_EQ(*model->weights->blob(), *WeightsOf(TinyConfig(), 5)->blob());
  EXPECT_EQ(model->config.ToJson(), TinyConfig().ToJson());
}

TEST_F(LearnerLinkTest, ALostLearnerIsUnavailableAndNamed) {
  StartLearner(Small(), 10);
  const std::string address = service_->address();
  const auto link = MakeGrpcLearnerLink(To(address, absl::Milliseconds(300)));
  ASSERT_TRUE(link->LeaseSamples(1, -1, absl::ZeroDuration()).ok());
  StopLearner();
  const auto lost = link->LeaseSamples(1, -1, absl::ZeroDuration());
  EXPECT_EQ(lost.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(lost.status().message()), HasSubstr(address));
  EXPECT_EQ(link->Submit({Sample()}).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(link->FetchWeights(0, absl::ZeroDuration()).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(LearnerLinkTest, ALearnerThatComesBackIsFoundAgain) {
  StartLearner(Small(), 10);
  const std::string address = service_->address();
  const auto link = MakeGrpcLearnerLink(To(address));
  ASSERT_TRUE(link->LeaseSamples(1, -1, absl::ZeroDuration()).ok());
  StopLearner();
  std::atomic<bool> asking{false};
  std::thread asks([&] {
    asking = true;
    const auto batch = link->LeaseSamples(1, -1, absl::Minutes(1));
    ASSERT_TRUE(batch.ok()) << batch.status();
    EXPECT_EQ(batch->life, 1);
    EXPECT_EQ(batch->leases.size(), 1u);
  });
  while (!asking) std::this_thread::yield();
  StartLearner(Small(), 10, {}, address);
  asks.join();
}

TEST_F(LearnerLinkTest, AfterCancelEveryCallIsCancelled) {
  StartLearner(Small(), 10);
  const auto link = MakeGrpcLearnerLink(To(service_->address()));
  link->Cancel();
  EXPECT_EQ(link->LeaseSamples(1, -1, absl::Minutes(1)).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(link->FetchWeights(9, absl::Minutes(1)).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(link->Submit({Sample()}).status().code(), absl::StatusCode::kCancelled);
}

// Serves weights that arrive damaged the first `damaged` times.
class DamagedWeights final : public v1::Weights::Service {
 public:
  enum class Damage { kChunk, kTensor, kCut, kOrder, kSuperseded, kCancelled };
  DamagedWeights(Damage damage, int damaged) : damage_(damage), left_(damaged) {}

  grpc::Status Latest(grpc::ServerContext*, const v1::LatestRequest*,
                      v1::LatestResponse* response) override {
    *response->mutable_manifest() = proto::ToWire(weights_->manifest());
    response->set_config_json(TinyConfig().ToJson());
    return grpc::Status::OK;
  }
  grpc::Status Fetch(grpc::ServerContext*, const v1::FetchRequest*,
                     grpc::ServerWriter<v1::WeightChunk>* writer) override {
    const bool damaged = left_-- > 0;
    if (damaged && damage_ == Damage::kSuperseded) {
      return grpc::Status(grpc::StatusCode::NOT_FOUND, "superseded");
    }
    if (damaged && damage_ == Damage::kCancelled) return grpc::Status::CANCELLED;
    const std::vector<uint8_t>& blob = *weights_->blob();
    const size_t half = blob.size() / 2;
    for (const auto& [begin, end] : {std::pair(size_t{0}, half), std::pair(half, blob.size())}) {
      v1::WeightChunk chunk;
      chunk.set_offset(begin);
      chunk.set_data(blob.data() + begin, end - begin);
      if (damaged && damage_ == Damage::kTensor) (*chunk.mutable_data())[7] ^= 1;
      chunk.set_crc32(Crc32(chunk.data()));
      if (damaged && damage_ == Damage::kChunk) chunk.set_crc32(chunk.crc32() ^ 1);
      if (damaged && damage_ == Damage::kCut && begin > 0) break;
      if (damaged && damage_ == Damage::kOrder) chunk.set_offset(half - begin);
      writer->Write(chunk);
    }
    return grpc::Status::OK;
  }

  int fetches(int damaged) const { return damaged - left_; }

 private:
  const Damage damage_;
  std::atomic<int> left_;
  const std::shared_ptr<const moe::Weights> weights_ = WeightsOf(TinyConfig(), 1);
};

TEST(DamagedWeightsTest, AreRefusedAndFetchedAgain) {
  using Damage = DamagedWeights::Damage;
  for (const Damage damage : {Damage::kChunk, Damage::kTensor, Damage::kCut, Damage::kOrder}) {
    SCOPED_TRACE(static_cast<int>(damage));
    {
      DamagedWeights twice(damage, 2);
      const TestServer server(&twice);
      const auto model =
          MakeGrpcLearnerLink(To(server.address()))->FetchWeights(0, absl::ZeroDuration());
      ASSERT_TRUE(model.ok()) << model.status();
      EXPECT_EQ(*model->weights->blob(), *WeightsOf(TinyConfig(), 1)->blob());
      EXPECT_EQ(twice.fetches(2), 3);
    }
    DamagedWeights always(damage, 1000);
    const TestServer server(&always);
    EXPECT_EQ(MakeGrpcLearnerLink(To(server.address()))
                  ->FetchWeights(0, absl::ZeroDuration())
                  .status()
                  .code(),
              absl::StatusCode::kDataLoss);
    EXPECT_LE(always.fetches(1000), 3);
  }
}

TEST(DamagedWeightsTest, SupersededAndInterruptedOnesAreNoDamage) {
  for (const auto harmless : {DamagedWeights::Damage::kSuperseded,
                              DamagedWeights::Damage::kCancelled}) {  // by a learner that stops
    DamagedWeights often(harmless, 4);
    const TestServer server(&often);
    const auto model =
        MakeGrpcLearnerLink(To(server.address()))->FetchWeights(0, absl::ZeroDuration());
    EXPECT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(often.fetches(4), 5);
  }
}

// Says when it was called, and answers only when the caller has gone.
class SilentLearner final : public v1::SamplePool::Service {
 public:
  grpc::Status Lease(grpc::ServerContext* context, const v1::LeaseRequest*,
                     v1::LeaseResponse*) override {
    called.Notify();
    while (!context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::OK;
  }
  absl::Notification called;
};

TEST(SilentLearnerTest, CancelEndsACallInProgress) {
  SilentLearner learner;
  const TestServer server(&learner);
  const auto link = MakeGrpcLearnerLink(To(server.address()));
  std::thread asks([&] {
    EXPECT_EQ(link->LeaseSamples(1, -1, absl::Minutes(1)).status().code(),
              absl::StatusCode::kCancelled);
  });
  learner.called.WaitForNotification();
  link->Cancel();
  asks.join();  // hangs here if Cancel does not reach the call
}

GrpcVerifierOptions Verifying(const std::string& address,
                              absl::Duration deadline = absl::Seconds(30)) {
  GrpcVerifierOptions options;
  options.address = address;
  options.deadline = deadline;
  return options;
}

TEST(VerifierLinkTest, VerdictsComeInOrder) {
  FakeVerifier verifier([](const v1::GradeRequest& request) {
    v1::Verdict verdict =
        Judged(request.response() == request.gold() ? v1::Verdict::CORRECT : v1::Verdict::WRONG);
    verdict.set_extracted(request.response());
    return verdict;
  });
  const TestServer server(&verifier);
  const auto link = MakeGrpcVerifierLink(Verifying(server.address()));
  const auto verdicts = link->Grade({{"math", "1", "1"}, {"math", "1", "2"}, {"math", "3", "3"}});
  ASSERT_EQ(verdicts.size(), 3u);
  EXPECT_EQ(verdicts[0].outcome, Verdict::Outcome::kCorrect);
  EXPECT_EQ(verdicts[1].outcome, Verdict::Outcome::kWrong);
  EXPECT_EQ(verdicts[1].extracted, "2");
  EXPECT_EQ(verdicts[2].outcome, Verdict::Outcome::kCorrect);
  EXPECT_THAT(link->Grade({}), IsEmpty());
  // A model writes bytes; they need not be UTF-8.
  EXPECT_EQ(link->Grade({{"math", "1", "\xFF\x80"}})[0].extracted, "\uFFFD\uFFFD");
}

TEST(VerifierLinkTest, WhatCannotBeJudgedIsAnErrorNeverWrong) {
  FakeVerifier verifier([](const v1::GradeRequest& request) {
    return request.gold() == "malformed" ? v1::Verdict() : Judged(v1::Verdict::CORRECT);
  });
  const TestServer server(&verifier);
  const auto link = MakeGrpcVerifierLink(Verifying(server.address()));
  const auto verdicts =
      link->Grade({{"math", "1", "1"}, {"unknown", "1", "1"}, {"math", "malformed", "1"}});
  ASSERT_EQ(verdicts.size(), 3u);
  EXPECT_EQ(verdicts[0].outcome, Verdict::Outcome::kCorrect);
  EXPECT_EQ(verdicts[1].outcome, Verdict::Outcome::kError);
  EXPECT_THAT(verdicts[1].reason, HasSubstr("'unknown' is not judged"));
  EXPECT_EQ(verdicts[2].outcome, Verdict::Outcome::kError);
  EXPECT_THAT(verdicts[2].reason, HasSubstr("outcome"));
}

TEST(VerifierLinkTest, AVerifierThatIsAwayIsAnErrorThatNamesIt) {
  std::string address;
  {
    FakeVerifier verifier([](const v1::GradeRequest&) { return v1::Verdict(); });
    address = TestServer(&verifier).address();
  }
  const auto link = MakeGrpcVerifierLink(Verifying(address, absl::Milliseconds(300)));
  const auto verdicts = link->Grade({{"math", "1", "1"}, {"math", "2", "2"}});
  ASSERT_EQ(verdicts.size(), 2u);
  for (const Verdict& verdict : verdicts) {
    EXPECT_EQ(verdict.outcome, Verdict::Outcome::kError);
    EXPECT_THAT(verdict.reason, HasSubstr(address));
  }
}

TEST(VerifierLinkTest, AVerifierThatComesBackInTimeIsAskedAgain) {
  FakeVerifier verifier([](const v1::GradeRequest&) { return Judged(v1::Verdict::CORRECT); });
  std::string address = TestServer(&verifier).address();
  const auto link = MakeGrpcVerifierLink(Verifying(address, absl::Minutes(1)));
  std::atomic<bool> asking{false};
  std::thread asks([&] {
    asking = true;
    EXPECT_EQ(link->Grade({{"math", "1", "1"}})[0].outcome, Verdict::Outcome::kCorrect);
  });
  while (!asking) std::this_thread::yield();
  const TestServer server(&verifier, address);
  asks.join();
}

}  // namespace links_test
}  // namespace ponder::actor

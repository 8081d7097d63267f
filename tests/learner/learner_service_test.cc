// The learner's RPCs as a foreign client sees them, over real gRPC.
#include "learner/learner_service.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/convert.h"
#include "proto/learner.grpc.pb.h"
#include "tests/learner/pool_fixture.h"

namespace ponder::learner {
namespace learner_service_test {

using ::testing::HasSubstr;

// Embeddings of two and a bit chunks.
moe::ModelConfig Config() {
  moe::ModelConfig config;
  config.vocab_size = 264;
  config.hidden_size = 1024;
  config.num_hidden_layers = 1;
  config.num_attention_heads = config.num_key_value_heads = 1;
  config.head_dim = 8;
  config.intermediate_size = config.moe_intermediate_size = 8;
  config.num_experts = 2;
  config.num_experts_per_tok = 1;
  config.max_position_embeddings = 64;
  config.eos_token_id = 256;
  return config;
}

std::shared_ptr<const moe::Weights> WeightsOf(const moe::ModelConfig& config, int64_t version) {
  const auto made = moe::InitWeights(config, static_cast<uint64_t>(version));
  WeightManifest manifest = made->manifest();
  manifest.version = version;
  return *moe::Weights::Make(manifest, made->blob());
}

class LearnerServiceTest : public PoolFixture {
 protected:
  void SetUp() override {
    PoolFixture::SetUp();
    SamplePool::Options options;
    options.group_size = 2;
    options.groups_per_step = 3;
    pool_ = MakePool(options, 10);
    StartService(LearnerService::Options());
  }
  void StartService(const LearnerService::Options& options) {
    auto service = LearnerService::Start(options, *pool_, weights_);
    ASSERT_TRUE(service.ok()) << service.status();
    service_ = *std::move(service);
    channel_ = grpc::CreateChannel(service_->address(), grpc::InsecureChannelCredentials());
    pool_stub_ = v1::SamplePool::NewStub(channel_);
    weights_stub_ = v1::Weights::NewStub(channel_);
  }

  grpc::Status Lease(int32_t max_samples, int64_t wait_ms, v1::LeaseResponse* response) {
    v1::LeaseRequest request;
    request.set_actor("actor.0");
    request.set_incarnation(1);
    request.set_max_samples(max_samples);
    request.set_wait_ms(wait_ms);
    grpc::ClientContext context;
    return pool_stub_->Lease(&context, request, response);
  }
  grpc::Status Latest(int64_t least_version, int64_t wait_ms, v1::LatestResponse* response) {
    v1::LatestRequest request;
    request.set_least_version(least_version);
    request.set_wait_ms(wait_ms);
    grpc::ClientContext context;
    return weights_stub_->Latest(&context, request, response);
  }
  grpc::Status Fetch(int64_t version, std::vector<v1::WeightChunk>* chunks) {
    v1::FetchRequest request;
    request.set_version(version);
    grpc::ClientContext context;
    const auto reader = weights_stub_->Fetch(&context, request);
    v1::WeightChunk chunk;
    while (reader->Read(&chunk)) chunks->push_back(chunk);
    return reader->Finish();
  }

  WeightStore weights_{Config().ToJson()};
  std::unique_ptr<SamplePool> pool_;
  std::unique_ptr<LearnerService> service_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::SamplePool::Stub> pool_stub_;
  std::unique_ptr<v1::Weights::Stub> weights_stub_;
};

TEST_F(LearnerServiceTest, LeasesGoOutAndSamplesComeIn) {
  v1::LeaseResponse leased;
  ASSERT_TRUE(Lease(4, 0, &leased).ok());
  ASSERT_EQ(leased.leases_size(), 4);
  ASSERT_EQ(leased.prompts_size(), 2);
  EXPECT_EQ(leased.leases(2).key().prompt_id(), leased.prompts(1).id());
  EXPECT_FALSE(leased.run_finished());

  v1::SubmitRequest request;
  request.set_actor("actor.0");
  request.set_incarnation(1);
  for (int i : {0, 0, 1}) {
    const Sample sample = MixedAnswer(*proto::FromWire(leased.leases(i)));
    auto* result = request.add_results();
    *result->mutable_rollout() = proto::ToWire(sample.rollout);
    *result->mutable_verdict() = proto::ToWire(sample.verdict);
  }
  request.mutable_results(2)->mutable_rollout()->add_logprobs(-1);  // one too many
  v1::SubmitResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(pool_stub_->Submit(&context, request, &response).ok());
  ASSERT_EQ(response.results_size(), 3);
  EXPECT_EQ(response.results(0).outcome(), v1::SubmitResponse::ACCEPTED);
  EXPECT_EQ(response.results(1).outcome(), v1::SubmitResponse::DUPLICATE);
  EXPECT_EQ(response.results(2).outcome(), v1::SubmitResponse::REJECTED);
  EXPECT_THAT(response.results(2).message(), HasSubstr("results[2].rollout.logprobs: 3 of them"));
}

TEST_F(LearnerServiceTest, RefusesMalformedRequestsByName) {
  v1::LeaseResponse leased;
  EXPECT_EQ(Lease(0, 0, &leased).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const grpc::Status too_long = Lease(1, 60001, &leased);
  EXPECT_EQ(too_long.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(too_long.error_message(), HasSubstr("60001"));
  v1::LatestResponse latest;
  EXPECT_EQ(Latest(0, -1, &latest).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(LearnerServiceTest, WeightsComeInChunksWithTheirConfig) {
  v1::LatestResponse latest;
  EXPECT_EQ(Latest(0, 0, &latest).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  const auto weights = WeightsOf(Config(), 3);
  ASSERT_TRUE(weights_.Publish(weights).ok());
  ASSERT_TRUE(Latest(2, 0, &latest).ok()) << "the newest, not the oldest that would do";
  EXPECT_EQ(latest.manifest().SerializeAsString(),
            proto::ToWire(weights->manifest()).SerializeAsString());
  EXPECT_EQ(moe::ModelConfig::FromJson(latest.config_json(), "wire")->ToJson(), Config().ToJson());
  std::vector<v1::WeightChunk> chunks;
  ASSERT_TRUE(Fetch(3, &chunks).ok());
  std::string blob;
  for (const v1::WeightChunk& chunk : chunks) {
    EXPECT_EQ(chunk.offset(), blob.size());
    EXPECT_LE(chunk.data().size(), size_t{1} << 20);
    EXPECT_EQ(chunk.crc32(), Crc32(chunk.data()));
    blob += chunk.data();
  }
  EXPECT_GE(chunks.size(), 3u);
  EXPECT_TRUE(std::equal(blob.begin(), blob.end(), weights->blob()->begin(), weights->blob()->end(),
                         [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; }));
}

TEST_F(LearnerServiceTest, OnlyTheNewestWeightsAreServed) {
  ASSERT_TRUE(weights_.Publish(WeightsOf(Config(), 3)).ok());
  ASSERT_TRUE(weights_.Publish(WeightsOf(Config(), 4)).ok());
  std::vector<v1::WeightChunk> chunks;
  EXPECT_EQ(Fetch(3, &chunks).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(weights_.Publish(WeightsOf(Config(), 3)).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LearnerServiceTest, ALongPollWakesWhenThereIsSomething) {
  std::thread waits([&] {
    v1::LatestResponse latest;
    ASSERT_TRUE(Latest(7, 60000, &latest).ok());
    EXPECT_EQ(latest.manifest().version(), 8);
  });
  ASSERT_TRUE(weights_.Publish(WeightsOf(Config(), 6)).ok());
  ASSERT_TRUE(weights_.Publish(WeightsOf(Config(), 8)).ok());
  waits.join();
}

TEST_F(LearnerServiceTest, LongPollsDoNotStarveOtherCalls) {
  service_->Shutdown(absl::ZeroDuration());
  LearnerService::Options options;
  options.max_threads = 40;  // 20 calls may wait, 10 come in vain, and gRPC keeps a few for itself
  StartService(options);
  v1::LeaseResponse all;
  ASSERT_TRUE(Lease(6, 0, &all).ok());
  ASSERT_EQ(all.leases_size(), 6);
  std::atomic<int> answered{0};
  std::vector<std::thread> polls;
  for (int i = 0; i < 30; ++i) {
    polls.emplace_back([&] {
      // Those beyond half of the threads are answered at once; they ask again, as an actor would.
      v1::LeaseResponse leased;
      while (!leased.run_finished()) {
        if (!Lease(1, 60000, &leased).ok()) std::this_thread::yield();
      }
      ++answered;
    });
  }
  for (int i = 0; i < 20; ++i) {
    v1::LatestResponse latest;
    EXPECT_EQ(Latest(0, 0, &latest).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  EXPECT_EQ(answered, 0);
  ASSERT_TRUE(pool_->Finish().ok());
  for (std::thread& poll : polls) poll.join();
  EXPECT_EQ(answered, 30);
}

TEST_F(LearnerServiceTest, StoppingEndsLongPolls) {
  v1::LeaseResponse all;
  ASSERT_TRUE(Lease(6, 0, &all).ok());
  std::atomic<bool> begun{false};
  std::thread waits([&] {
    v1::LeaseResponse leased;
    begun = true;
    Lease(1, 60000, &leased);
  });
  while (!begun) std::this_thread::yield();
  service_->Shutdown(absl::Hours(1));  // the grace is for those that do something
  waits.join();                        // hangs here if Shutdown does not reach it
}

TEST_F(LearnerServiceTest, APortInUseIsNamed) {
  LearnerService::Options options;
  options.listen = service_->address();
  const auto second = LearnerService::Start(options, *pool_, weights_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(service_->address()));
  options.listen = "nonsense";
  EXPECT_EQ(LearnerService::Start(options, *pool_, weights_).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace learner_service_test
}  // namespace ponder::learner

// What the tests of the actor's links and loop share: a learner without training, a scripted
// verifier, both served over gRPC, and a tiny model.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/steady_clock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "learner/learner_service.h"
#include "learner/sample_pool.h"
#include "learner/weight_store.h"
#include "moe/checkpoint.h"
#include "proto/transport.h"
#include "proto/verifier.grpc.pb.h"
#include "tests/learner/pool_fixture.h"
#include "tests/moe/tiny_config.h"

namespace ponder::actor {

inline moe::ModelConfig TinyConfig() { return moe::TinyByteConfig(64); }

inline std::shared_ptr<const moe::Weights> WeightsOf(const moe::ModelConfig& config,
                                                     int64_t version) {
  const auto made = moe::InitWeights(config, static_cast<uint64_t>(version));
  WeightManifest manifest = made->manifest();
  manifest.version = version;
  return *moe::Weights::Make(manifest, made->blob());
}

// Serves gRPC services on a port of 127.0.0.1.
class TestServer {
 public:
  explicit TestServer(grpc::Service* service, const std::string& listen = "127.0.0.1:0") {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(service);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~TestServer() { server_->Shutdown(proto::ToGrpc(SteadyNow())); }
  const std::string& address() const { return address_; }

 private:
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

// Judges by a function.
class FakeVerifier final : public v1::Verifier::Service {
 public:
  using Judge = std::function<v1::Verdict(const v1::GradeRequest&)>;
  explicit FakeVerifier(Judge judge) : judge_(std::move(judge)) {}

  grpc::Status GradeBatch(grpc::ServerContext*, const v1::GradeBatchRequest* request,
                          v1::GradeBatchResponse* response) override {
    for (const v1::GradeRequest& question : request->requests()) {
      if (question.kind() == "unknown") {
        return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "kind: 'unknown' is not judged");
      }
      v1::GradeResponse* answer = response->add_responses();
      answer->set_id(question.id());
      *answer->mutable_verdict() = judge_(question);
    }
    return grpc::Status::OK;
  }

 private:
  const Judge judge_;
};

inline v1::Verdict Judged(v1::Verdict::Outcome outcome, const std::string& reason = "") {
  v1::Verdict verdict;
  verdict.set_outcome(outcome);
  verdict.set_reason(reason);
  return verdict;
}

// A learner that serves its pool and its weights, and trains nothing.
class ActorFixture : public learner::PoolFixture {
 protected:
  void StartLearner(const learner::SamplePool::Options& options, int64_t prompts,
                    const learner::SamplePool::Position& start = {},
                    const std::string& listen = "127.0.0.1:0") {
    pool_ = MakePool(options, prompts, start);
    weights_ = std::make_unique<learner::WeightStore>(TinyConfig().ToJson());
    learner::LearnerService::Options service;
    service.listen = listen;
    auto started = learner::LearnerService::Start(service, *pool_, *weights_);
    ASSERT_TRUE(started.ok()) << started.status();
    service_ = *std::move(started);
  }
  void StopLearner() {
    if (pool_ != nullptr) pool_->Close();
    service_.reset();
    pool_.reset();
  }
  void TearDown() override {
    StopLearner();
    PoolFixture::TearDown();
  }

  std::unique_ptr<learner::SamplePool> pool_;
  std::unique_ptr<learner::WeightStore> weights_;
  std::unique_ptr<learner::LearnerService> service_;
};

}  // namespace ponder::actor

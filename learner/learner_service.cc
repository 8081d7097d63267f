#include "learner/learner_service.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "proto/convert.h"
#include "proto/learner.grpc.pb.h"
#include "proto/transport.h"

namespace ponder::learner {
namespace {

// A waiting call looks this often whether its caller is still there: one that died must not be
// given leases.
constexpr absl::Duration kSlice = absl::Milliseconds(200);

// Bounds the calls that wait, so that those that don't always find a thread.
class LongPolls {
 public:
  explicit LongPolls(int limit) : limit_(limit) {}

  // Runs `attempt(deadline)` until `done(result)`, in slices, for at most `wait`.
  template <typename Attempt, typename Done>
  auto Poll(const grpc::ServerContext& context, absl::Duration wait, const Attempt& attempt,
            const Done& done) {
    const bool may_wait = ++waiting_ <= limit_;
    const auto leave = absl::MakeCleanup([this] { --waiting_; });
    const absl::Time end = SteadyNow() + (may_wait ? wait : absl::ZeroDuration());
    while (true) {
      auto result = attempt(std::min(end, SteadyNow() + kSlice));
      if (done(result) || SteadyNow() >= end || context.IsCancelled() || stopping_) return result;
    }
  }
  void Stop() { stopping_ = true; }

 private:
  const int limit_;
  std::atomic<int> waiting_{0};
  std::atomic<bool> stopping_{false};
};

absl::StatusOr<absl::Duration> Wait(int64_t wait_ms) {
  const absl::Duration wait = absl::Milliseconds(wait_ms);
  if (wait < absl::ZeroDuration() || wait > proto::kMaxWait) {
    return absl::InvalidArgumentError(absl::StrCat("wait_ms: ", wait_ms, " is not between 0 and ",
                                                   absl::ToInt64Milliseconds(proto::kMaxWait)));
  }
  return wait;
}

v1::SubmitResponse::Outcome ToWire(SamplePool::SubmitOutcome outcome) {
  switch (outcome) {
    case SamplePool::SubmitOutcome::kAccepted:
      return v1::SubmitResponse::ACCEPTED;
    case SamplePool::SubmitOutcome::kDuplicate:
      return v1::SubmitResponse::DUPLICATE;
    case SamplePool::SubmitOutcome::kExpired:
      return v1::SubmitResponse::EXPIRED;
    case SamplePool::SubmitOutcome::kRejected:
      return v1::SubmitResponse::REJECTED;
  }
  return v1::SubmitResponse::OUTCOME_UNSPECIFIED;
}

class PoolRpcs final : public v1::SamplePool::Service {
 public:
  PoolRpcs(SamplePool& pool, LongPolls& polls) : pool_(pool), polls_(polls) {}

  grpc::Status Lease(grpc::ServerContext* context, const v1::LeaseRequest* request,
                     v1::LeaseResponse* response) override {
    return proto::ToGrpc(Lease(*context, *request, response));
  }
  grpc::Status Submit(grpc::ServerContext* context, const v1::SubmitRequest* request,
                      v1::SubmitResponse* response) override {
    return proto::ToGrpc(Submit(*request, response));
  }

 private:
  absl::Status Lease(const grpc::ServerContext& context, const v1::LeaseRequest& request,
                     v1::LeaseResponse* response) {
    PONDER_ASSIGN_OR_RETURN(const absl::Duration wait, Wait(request.wait_ms()));
    const auto batch = polls_.Poll(
        context, wait,
        [&](absl::Time deadline) {
          return pool_.LeaseSamples(request.actor(), request.incarnation(), request.max_samples(),
                                    deadline);
        },
        [](const auto& result) {
          return !result.ok() || result->run_finished || !result->leases.empty();
        });
    PONDER_RETURN_IF_ERROR(batch.status());
    for (const ponder::Lease& lease : batch->leases) {
      *response->add_leases() = proto::ToWire(lease);
    }
    for (const Prompt& prompt : batch->prompts) *response->add_prompts() = proto::ToWire(prompt);
    response->set_run_finished(batch->run_finished);
    response->set_life(batch->life);
    return absl::OkStatus();
  }

  absl::Status Submit(const v1::SubmitRequest& request, v1::SubmitResponse* response) {
    std::vector<Sample> samples;
    std::vector<v1::SubmitResponse::Result*> answers;  // of the samples that are well-formed
    for (int i = 0; i < request.results_size(); ++i) {
      v1::SubmitResponse::Result* answer = response->add_results();
      const std::string path = absl::StrCat("results[", i, "]");
      auto rollout = proto::FromWire(request.results(i).rollout(), absl::StrCat(path, ".rollout"));
      auto verdict = proto::FromWire(request.results(i).verdict(), absl::StrCat(path, ".verdict"));
      if (!rollout.ok() || !verdict.ok()) {
        answer->set_outcome(v1::SubmitResponse::REJECTED);
        answer->set_message(
            std::string((rollout.ok() ? verdict.status() : rollout.status()).message()));
        continue;
      }
      samples.push_back({*std::move(rollout), *std::move(verdict)});
      answers.push_back(answer);
    }
    PONDER_ASSIGN_OR_RETURN(
        const std::vector<SamplePool::SubmitResult> results,
        pool_.Submit(request.actor(), request.incarnation(), std::move(samples)));
    for (size_t i = 0; i < results.size(); ++i) {
      answers[i]->set_outcome(ToWire(results[i].outcome));
      answers[i]->set_message(results[i].message);
    }
    return absl::OkStatus();
  }

  SamplePool& pool_;
  LongPolls& polls_;
};

class WeightRpcs final : public v1::Weights::Service {
 public:
  WeightRpcs(WeightStore& store, LongPolls& polls) : store_(store), polls_(polls) {}

  grpc::Status Latest(grpc::ServerContext* context, const v1::LatestRequest* request,
                      v1::LatestResponse* response) override {
    const auto wait = Wait(request->wait_ms());
    if (!wait.ok()) return proto::ToGrpc(wait.status());
    const auto weights = polls_.Poll(
        *context, *wait,
        [&](absl::Time deadline) { return store_.Latest(request->least_version(), deadline); },
        [](const auto& result) { return !absl::IsDeadlineExceeded(result.status()); });
    if (!weights.ok()) return proto::ToGrpc(weights.status());
    *response->mutable_manifest() = proto::ToWire((*weights)->manifest());
    response->set_config_json(store_.config_json());
    return grpc::Status::OK;
  }

  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchRequest* request,
                     grpc::ServerWriter<v1::WeightChunk>* writer) override {
    const auto weights = store_.Latest(0, absl::InfinitePast());
    if (!weights.ok()) return proto::ToGrpc(weights.status());
    if ((*weights)->manifest().version != request->version()) {
      return proto::ToGrpc(absl::NotFoundError(
          absl::StrCat("weights ", request->version(), " were superseded by ",
                       (*weights)->manifest().version, "; ask for the latest again")));
    }
    const std::vector<uint8_t>& blob = *(*weights)->blob();
    v1::WeightChunk chunk;
    for (size_t offset = 0; offset < blob.size(); offset += proto::kChunkBytes) {
      const size_t size = std::min(proto::kChunkBytes, blob.size() - offset);
      chunk.set_offset(offset);
      chunk.set_data(blob.data() + offset, size);
      chunk.set_crc32(Crc32(chunk.data()));
      if (!writer->Write(chunk)) return grpc::Status::CANCELLED;  // the caller is gone
    }
    return grpc::Status::OK;
  }

 private:
  WeightStore& store_;
  LongPolls& polls_;
};

}  // namespace

struct LearnerService::Server {
  Server(const Options& options, SamplePool& pool, WeightStore& weights)
      : polls(options.max_threads / 2), pool_rpcs(pool, polls), weight_rpcs(weights, polls) {}

  LongPolls polls;
  PoolRpcs pool_rpcs;
  WeightRpcs weight_rpcs;
  std::string address;
  std::unique_ptr<grpc::Server> grpc;  // ends before what it calls
};

absl::StatusOr<std::unique_ptr<LearnerService>> LearnerService::Start(const Options& options,
                                                                      SamplePool& pool,
                                                                      WeightStore& weights) {
  const size_t colon = options.listen.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return absl::InvalidArgumentError(absl::StrCat("can't listen on '", options.listen,
                                                   "': give host:port, e.g. 127.0.0.1:50051"));
  }
  auto server = std::make_unique<Server>(options, pool, weights);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port);
  // Else two servers may share a port, and each would get some of the other's calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Actors ask every few seconds whether the connection is alive; that is no abuse.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.SetMaxReceiveMessageSize(proto::kMaxMessageBytes);
  builder.SetMaxSendMessageSize(proto::kMaxMessageBytes);
  builder.SetResourceQuota(
      grpc::ResourceQuota("learner_service").SetMaxThreads(options.max_threads));
  builder.RegisterService(&server->pool_rpcs);
  builder.RegisterService(&server->weight_rpcs);
  server->grpc = builder.BuildAndStart();
  if (server->grpc == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat(
        "can't listen on ", options.listen,
        ": the port is in use or the address is not this machine's; set learner.listen to another "
        "(port 0: any free one)"));
  }
  server->address = absl::StrCat(options.listen.substr(0, colon), ":", port);
  return std::unique_ptr<LearnerService>(new LearnerService(std::move(server)));
}

LearnerService::LearnerService(std::unique_ptr<Server> server) : server_(std::move(server)) {}

LearnerService::~LearnerService() { Shutdown(absl::ZeroDuration()); }

const std::string& LearnerService::address() const { return server_->address; }

void LearnerService::Shutdown(absl::Duration grace) {
  server_->polls.Stop();
  server_->grpc->Shutdown(proto::ToGrpc(SteadyNow() + grace));
  server_->grpc->Wait();
}

}  // namespace ponder::learner

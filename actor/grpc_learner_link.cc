// The gRPC kind of LearnerLink (proto/learner.proto).
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "actor/grpc_call.h"
#include "actor/links.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "proto/convert.h"
#include "proto/learner.grpc.pb.h"

namespace ponder::actor {
namespace {

constexpr absl::Duration kAnswer = absl::Seconds(10);  // for a call that need not wait
constexpr absl::Duration kFetch = absl::Minutes(5);    // for a blob of weights
constexpr int kFetchTries = 3;                         // before damaged weights are given up
constexpr size_t kSubmitBytes = proto::kMaxMessageBytes / 4;

class GrpcLearnerLink final : public LearnerLink {
 public:
  explicit GrpcLearnerLink(const GrpcLearnerOptions& options)
      : options_(options),
        peer_(options.address, absl::StrCat("learner at ", options.address)),
        pool_(v1::SamplePool::NewStub(peer_.channel())),
        weights_(v1::Weights::NewStub(peer_.channel())) {}

  absl::StatusOr<LeaseBatch> LeaseSamples(int64_t max_samples, int64_t weight_version,
                                          absl::Duration wait) override {
    v1::LeaseRequest request;
    request.set_actor(options_.actor);
    request.set_incarnation(options_.incarnation);
    request.set_max_samples(static_cast<int32_t>(max_samples));
    request.set_weight_version(weight_version);
    request.set_wait_ms(absl::ToInt64Milliseconds(wait));
    v1::LeaseResponse response;
    PONDER_RETURN_IF_ERROR(peer_.Call(
        "leasing samples", wait + kAnswer, GiveUp(),
        [&](grpc::ClientContext* context) { return pool_->Lease(context, request, &response); }));
    LeaseBatch batch;
    for (int i = 0; i < response.leases_size(); ++i) {
      PONDER_ASSIGN_OR_RETURN(Lease lease,
                              proto::FromWire(response.leases(i), absl::StrCat("leases[", i, "]")));
      batch.leases.push_back(std::move(lease));
    }
    for (int i = 0; i < response.prompts_size(); ++i) {
      PONDER_ASSIGN_OR_RETURN(
          Prompt prompt, proto::FromWire(response.prompts(i), absl::StrCat("prompts[", i, "]")));
      batch.prompts.push_back(std::move(prompt));
    }
    batch.run_finished = response.run_finished();
    batch.life = response.life();
    return batch;
  }

  absl::StatusOr<SubmitCounts> Submit(std::vector<Sample> samples) override {
    SubmitCounts counts;
    v1::SubmitRequest request;
    size_t bytes = 0;
    for (const Sample& sample : samples) {
      v1::SubmitRequest::Result* result = request.add_results();
      *result->mutable_rollout() = proto::ToWire(sample.rollout);
      *result->mutable_verdict() = proto::ToWire(sample.verdict);
      bytes += result->ByteSizeLong();
      if (bytes < kSubmitBytes && &sample != &samples.back()) continue;
      PONDER_RETURN_IF_ERROR(SubmitSome(request, &counts));
      request.clear_results();
      bytes = 0;
    }
    return counts;
  }

  absl::StatusOr<moe::Model> FetchWeights(int64_t least_version, absl::Duration wait) override {
    const absl::Time end = SteadyNow() + wait;
    absl::Status damage;
    for (int tries = 0; tries < kFetchTries;) {
      v1::LatestResponse latest;
      PONDER_RETURN_IF_ERROR(Latest(least_version, end, &latest));
      absl::StatusOr<moe::Model> model = Fetch(latest);
      if (absl::IsNotFound(model.status())) continue;  // superseded meanwhile
      if (!absl::IsDataLoss(model.status())) return model;
      damage = model.status();
      PONDER_LOG(kWarning, "weights ", latest.manifest().version(), " from ", options_.address,
                 " came damaged, try ", ++tries, " of ", kFetchTries, ": ", damage.message());
    }
    return damage;
  }

  void Cancel() override { peer_.Cancel(); }

 private:
  absl::Time GiveUp() const { return SteadyNow() + options_.patience; }

  absl::Status SubmitSome(v1::SubmitRequest& request, SubmitCounts* counts) {
    request.set_actor(options_.actor);
    request.set_incarnation(options_.incarnation);
    v1::SubmitResponse response;
    PONDER_RETURN_IF_ERROR(peer_.Call(
        "submitting samples", kAnswer, GiveUp(),
        [&](grpc::ClientContext* context) { return pool_->Submit(context, request, &response); }));
    if (response.results_size() != request.results_size()) {
      return absl::InternalError(absl::StrCat("the learner answered ", response.results_size(),
                                              " of ", request.results_size(),
                                              " submitted samples"));
    }
    for (const v1::SubmitResponse::Result& result : response.results()) {
      switch (result.outcome()) {
        case v1::SubmitResponse::ACCEPTED:
          ++counts->accepted;
          break;
        case v1::SubmitResponse::DUPLICATE:
          ++counts->duplicate;
          break;
        case v1::SubmitResponse::EXPIRED:
          ++counts->expired;
          break;
        default:
          if (counts->rejected++ == 0) counts->first_rejection = result.message();
      }
    }
    return absl::OkStatus();
  }

  // Asks again in slices while the version is not there.
  absl::Status Latest(int64_t least_version, absl::Time end, v1::LatestResponse* latest) {
    v1::LatestRequest request;
    request.set_least_version(least_version);
    while (true) {
      const absl::Duration wait =
          std::clamp(end - SteadyNow(), absl::ZeroDuration(), proto::kMaxWait);
      request.set_wait_ms(absl::ToInt64Milliseconds(wait));
      // DEADLINE_EXCEEDED from the learner is its answer, not a reason to call again.
      bool not_yet = false;
      absl::Status status = peer_.Call(
          "asking for weights", wait + kAnswer, GiveUp(), [&](grpc::ClientContext* context) {
            const grpc::Status answer = weights_->Latest(context, request, latest);
            not_yet = answer.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
                      proto::FromGrpc(context->raw_deadline()) > SteadyNow();
            return not_yet ? grpc::Status::OK : answer;
          });
      if (!not_yet) return status;
      if (SteadyNow() >= end) {
        return absl::DeadlineExceededError(
            absl::StrCat("the learner has no weights of version ", least_version, " yet"));
      }
    }
  }

  absl::StatusOr<moe::Model> Fetch(const v1::LatestResponse& latest) {
    PONDER_ASSIGN_OR_RETURN(WeightManifest manifest, proto::FromWire(latest.manifest()));
    moe::Model model;
    PONDER_ASSIGN_OR_RETURN(
        model.config, moe::ModelConfig::FromJson(latest.config_json(), "the learner's config"));
    v1::FetchRequest request;
    request.set_version(manifest.version);
    auto blob = std::make_shared<std::vector<uint8_t>>();
    absl::Status damage;
    PONDER_RETURN_IF_ERROR(
        peer_.Call("fetching weights", kFetch, GiveUp(), [&](grpc::ClientContext* context) {
          blob->clear();
          blob->reserve(manifest.total_bytes);
          const auto reader = weights_->Fetch(context, request);
          v1::WeightChunk chunk;
          damage = absl::OkStatus();
          while (damage.ok() && reader->Read(&chunk)) {
            damage = Append(chunk, manifest.total_bytes, blob.get());
          }
          if (damage.ok()) return reader->Finish();
          context->TryCancel();
          reader->Finish();
          return grpc::Status::OK;
        }));
    PONDER_RETURN_IF_ERROR(damage);
    if (blob->size() != manifest.total_bytes) {
      return absl::DataLossError(
          absl::StrCat("got ", blob->size(), " of ", manifest.total_bytes, " bytes"));
    }
    PONDER_ASSIGN_OR_RETURN(model.weights, moe::Weights::Make(std::move(manifest), blob));
    PONDER_RETURN_IF_ERROR(model.weights->VerifyChecksums());
    PONDER_RETURN_IF_ERROR(model.weights->MatchesConfig(model.config));
    return model;
  }

  static absl::Status Append(const v1::WeightChunk& chunk, uint64_t total_bytes,
                             std::vector<uint8_t>* blob) {
    if (chunk.offset() != blob->size() || chunk.data().size() > total_bytes - blob->size()) {
      return absl::DataLossError(absl::StrCat("a chunk of ", chunk.data().size(), " bytes at ",
                                              chunk.offset(), ", but ", blob->size(), " of ",
                                              total_bytes, " are here"));
    }
    if (const uint32_t crc = Crc32(chunk.data()); crc != chunk.crc32()) {
      return absl::DataLossError(absl::StrCat("the chunk at byte ", chunk.offset(),
                                              " has checksum ", absl::Hex(crc), ", expected ",
                                              absl::Hex(chunk.crc32())));
    }
    blob->insert(blob->end(), chunk.data().begin(), chunk.data().end());
    return absl::OkStatus();
  }

  const GrpcLearnerOptions options_;
  Peer peer_;
  std::unique_ptr<v1::SamplePool::Stub> pool_;
  std::unique_ptr<v1::Weights::Stub> weights_;
};

}  // namespace

std::unique_ptr<LearnerLink> MakeGrpcLearnerLink(const GrpcLearnerOptions& options) {
  return std::make_unique<GrpcLearnerLink>(options);
}

}  // namespace ponder::actor

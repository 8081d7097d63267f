// The gRPC kind of VerifierLink (proto/verifier.proto).
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "actor/grpc_call.h"
#include "actor/links.h"
#include "base/steady_clock.h"
#include "proto/convert.h"
#include "proto/verifier.grpc.pb.h"

namespace ponder::actor {
namespace {

Verdict NoVerdict(absl::string_view reason) {
  Verdict verdict;
  verdict.outcome = Verdict::Outcome::kError;
  verdict.reason = std::string(reason);
  return verdict;
}

class GrpcVerifierLink final : public VerifierLink {
 public:
  explicit GrpcVerifierLink(const GrpcVerifierOptions& options)
      : options_(options),
        peer_(options.address, absl::StrCat("verifier at ", options.address)),
        stub_(v1::Verifier::NewStub(peer_.channel())) {}

  std::vector<Verdict> Grade(const std::vector<Question>& questions) override {
    const absl::Time end = SteadyNow() + options_.deadline;
    v1::GradeBatchRequest batch;
    for (size_t i = 0; i < questions.size(); ++i) {
      v1::GradeRequest* request = batch.add_requests();
      request->set_id(absl::StrCat(i));
      request->set_kind(questions[i].kind);
      request->set_gold(proto::ValidUtf8(questions[i].gold));
      request->set_response(proto::ValidUtf8(questions[i].response));
    }
    std::vector<Verdict> verdicts;
    const absl::Status status = GradeBatch(batch, end, &verdicts);
    if (status.ok()) return verdicts;
    verdicts.assign(questions.size(), NoVerdict(status.message()));
    if (!absl::IsInvalidArgument(status) || questions.size() == 1) return verdicts;
    // One malformed question must not cost the others their verdicts.
    for (size_t i = 0; i < questions.size(); ++i) {
      v1::GradeBatchRequest one;
      *one.add_requests() = batch.requests(static_cast<int>(i));
      std::vector<Verdict> verdict;
      const absl::Status judged = GradeBatch(one, end, &verdict);
      verdicts[i] = judged.ok() ? std::move(verdict[0]) : NoVerdict(judged.message());
    }
    return verdicts;
  }

  void Cancel() override { peer_.Cancel(); }

 private:
  absl::Status GradeBatch(const v1::GradeBatchRequest& request, absl::Time end,
                          std::vector<Verdict>* verdicts) {
    v1::GradeBatchResponse response;
    const absl::Status status =
        peer_.Call("grading", end - SteadyNow(), end, [&](grpc::ClientContext* context) {
          return stub_->GradeBatch(context, request, &response);
        });
    if (!status.ok()) return status;
    if (response.responses_size() != request.requests_size()) {
      return absl::InternalError(absl::StrCat("the verifier answered ", response.responses_size(),
                                              " of ", request.requests_size(), " questions"));
    }
    for (int i = 0; i < response.responses_size(); ++i) {
      const v1::GradeResponse& answer = response.responses(i);
      if (answer.id() != request.requests(i).id()) {
        return absl::InternalError("the verifier answered out of order");
      }
      absl::StatusOr<Verdict> verdict = proto::FromWire(answer.verdict());
      verdicts->push_back(verdict.ok() ? *std::move(verdict)
                                       : NoVerdict(verdict.status().message()));
    }
    return absl::OkStatus();
  }

  const GrpcVerifierOptions options_;
  Peer peer_;
  std::unique_ptr<v1::Verifier::Stub> stub_;
};

}  // namespace

std::unique_ptr<VerifierLink> MakeGrpcVerifierLink(const GrpcVerifierOptions& options) {
  return std::make_unique<GrpcVerifierLink>(options);
}

}  // namespace ponder::actor

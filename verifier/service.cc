#include "verifier/service.h"

#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "proto/transport.h"
#include "verifier/batch_call.h"
#include "verifier/stream_call.h"

namespace ponder::verifier {
namespace {

absl::Time DeadlineOf(const grpc::CallbackServerContext& context) {
  return proto::FromGrpc(context.raw_deadline());
}

}  // namespace

grpc::ServerUnaryReactor* VerifierService::Grade(grpc::CallbackServerContext* context,
                                                 const v1::GradeRequest* request,
                                                 v1::GradeResponse* response) {
  return new BatchCall(parts_, parts_.access.Check(*context), DeadlineOf(*context),
                       {{request, response}});
}

grpc::ServerUnaryReactor* VerifierService::GradeBatch(grpc::CallbackServerContext* context,
                                                      const v1::GradeBatchRequest* request,
                                                      v1::GradeBatchResponse* response) {
  std::vector<BatchCall::Item> items;
  items.reserve(request->requests_size());
  for (const v1::GradeRequest& one : request->requests()) {
    items.push_back({&one, response->add_responses()});
  }
  return new BatchCall(parts_, parts_.access.Check(*context), DeadlineOf(*context),
                       std::move(items));
}

grpc::ServerBidiReactor<v1::GradeRequest, v1::GradeResponse>* VerifierService::GradeStream(
    grpc::CallbackServerContext* context) {
  return new StreamCall(parts_, parts_.access.Check(*context), DeadlineOf(*context));
}

}  // namespace ponder::verifier

// Any bytes as a batch from the wire: what parses is judged and goes back over the wire whole.
#include <cstdint>
#include <cstdlib>

#include "absl/time/time.h"
#include "proto/convert.h"
#include "proto/verifier.pb.h"
#include "verifier/graders.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // All but programs.
  static const ponder::verifier::Graders graders = [] {
    ponder::verifier::Graders::Map map = ponder::verifier::ShippedGraders();
    map.erase("code");
    return ponder::verifier::Graders(std::move(map));
  }();
  ponder::v1::GradeBatchRequest batch;
  if (!batch.ParseFromArray(data, static_cast<int>(size))) return 0;
  for (const ponder::v1::GradeRequest& request : batch.requests()) {
    auto grader = graders.Find(request.kind());
    if (!grader.ok()) grader = graders.Find("math");
    const ponder::Verdict verdict = ponder::verifier::TimedGrade(
        **grader, {request.gold(), request.response()}, absl::InfiniteFuture());
    ponder::v1::GradeResponse response, back;
    response.set_id(request.id());
    *response.mutable_verdict() = ponder::proto::ToWire(verdict);
    if (!back.ParseFromString(response.SerializeAsString())) std::abort();
    const auto read = ponder::proto::FromWire(back.verdict());
    if (!read.ok() || read->outcome != verdict.outcome) std::abort();
  }
  return 0;
}

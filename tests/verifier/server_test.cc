// The service over real gRPC, on a free port of this machine.
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/atomic_file.h"
#include "base/steady_clock.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/verifier/server_fixture.h"

namespace ponder::verifier {
namespace server_test {

using grpc::StatusCode;

TEST_F(ServerTest, GradesOne) {
  StartServer();
  v1::GradeResponse response;
  const grpc::Status status = Grade(Request("a", "math", "0.5", "\\boxed{1/2}"), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.id(), "a");
  EXPECT_EQ(response.verdict().outcome(), v1::Verdict::CORRECT);
  EXPECT_EQ(response.verdict().extracted(), "1/2");
  EXPECT_GT(response.verdict().cost_seconds(), 0);
}

TEST_F(ServerTest, AnswersABatchInOrder) {
  StartServer();
  v1::GradeBatchRequest request;
  for (int i = 0; i < 1000; ++i) {
    *request.add_requests() = Request(absl::StrCat(i), "math", "7", absl::StrCat(i % 10));
  }
  grpc::ClientContext context;
  v1::GradeBatchResponse response;
  ASSERT_TRUE(stub_->GradeBatch(&context, request, &response).ok());
  ASSERT_EQ(response.responses_size(), 1000);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(response.responses(i).id(), absl::StrCat(i));
    ASSERT_EQ(response.responses(i).verdict().outcome(),
              i % 10 == 7 ? v1::Verdict::CORRECT : v1::Verdict::WRONG);
  }
}

TEST_F(ServerTest, AnswersAnEmptyBatch) {
  StartServer();
  grpc::ClientContext context;
  v1::GradeBatchResponse response;
  EXPECT_TRUE(stub_->GradeBatch(&context, {}, &response).ok());
  EXPECT_EQ(response.responses_size(), 0);
}

TEST_F(ServerTest, StreamsMoreThanFitsItsWindow) {
  StartServer(MakeGraders(), 2, /*queue=*/4096);
  constexpr int kCount = 3000;
  grpc::ClientContext context;
  auto stream = stub_->GradeStream(&context);
  std::thread writer([&] {
    for (int i = 0; i < kCount; ++i) {
      ASSERT_TRUE(stream->Write(Request(absl::StrCat(i), "math", "7", absl::StrCat(i % 10))));
    }
    stream->WritesDone();
  });
  std::map<std::string, v1::Verdict::Outcome> answers;
  v1::GradeResponse response;
  while (stream->Read(&response)) answers[response.id()] = response.verdict().outcome();
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(answers.size(), static_cast<size_t>(kCount));
  for (int i = 0; i < kCount; ++i) {
    ASSERT_EQ(answers[absl::StrCat(i)], i % 10 == 7 ? v1::Verdict::CORRECT : v1::Verdict::WRONG);
  }
}

TEST_F(ServerTest, StreamsMoreThanFitsTheQueue) {
  StartServer(MakeGraders(), 1, /*queue=*/1);
  constexpr int kCount = 1000;
  grpc::ClientContext context;
  auto stream = stub_->GradeStream(&context);
  std::thread writer([&] {
    for (int i = 0; i < kCount; ++i) stream->Write(Request(absl::StrCat(i), "math", "7", "7"));
    stream->WritesDone();
  });
  int answers = 0;
  v1::GradeResponse response;
  while (stream->Read(&response)) ++answers;
  writer.join();
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answers, kCount);
}

TEST_F(ServerTest, NamesAnUnknownKind) {
  StartServer();
  v1::GradeResponse response;
  grpc::Status status = Grade(Request("a", "alchemy", "1", "1"), &response);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), testing::HasSubstr("'alchemy'"));

  v1::GradeBatchRequest request;
  *request.add_requests() = Request("a", "math", "1", "1");
  *request.add_requests() = Request("b", "alchemy", "1", "1");
  grpc::ClientContext batch_context;
  v1::GradeBatchResponse batch_response;
  status = stub_->GradeBatch(&batch_context, request, &batch_response);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), testing::HasSubstr("request 1"));

  grpc::ClientContext stream_context;
  auto stream = stub_->GradeStream(&stream_context);
  stream->Write(Request("x", "alchemy", "1", "1"));
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, JudgesAHugeResponse) {
  StartServer();
  v1::GradeResponse response;
  ASSERT_TRUE(
      Grade(Request("a", "math", "7", std::string(20 << 20, 'x') + "\n#### 7"), &response).ok());
  EXPECT_EQ(response.verdict().outcome(), v1::Verdict::CORRECT);
}

TEST_F(ServerTest, RefusesWhatDoesNotFitTheQueue) {
  StartGatedServer();
  const v1::GradeRequest request = Request("a", "gate", "", "");
  v1::GradeResponse first, second;
  std::thread judged([&] { EXPECT_TRUE(Grade(request, &first).ok()); });
  begun_.WaitForNotification();
  // The worker is busy; one of these two waits in the queue, the other is refused.
  grpc::Status a, b;
  std::thread waiting([&] {
    a = Grade(request, &second);
    if (!go_.HasBeenNotified()) go_.Notify();
  });
  b = Grade(request, &second);
  if (!go_.HasBeenNotified()) go_.Notify();
  judged.join();
  waiting.join();
  EXPECT_NE(a.ok(), b.ok());
  EXPECT_EQ((a.ok() ? b : a).error_code(), StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(ServerTest, HonoursADeadlineInTheQueue) {
  StartGatedServer();
  const v1::GradeRequest request = Request("a", "gate", "", "");
  v1::GradeResponse response;
  std::thread judged([&] {
    v1::GradeResponse slow;
    EXPECT_TRUE(Grade(request, &slow).ok());
  });
  begun_.WaitForNotification();
  EXPECT_EQ(Grade(request, &response, absl::Milliseconds(50)).error_code(),
            StatusCode::DEADLINE_EXCEEDED);
  go_.Notify();
  judged.join();
}

TEST_F(ServerTest, PassesTheDeadlineToTheGrader) {
  class DeadlineGrader final : public Grader {
   public:
    Verdict Grade(const Question& question, absl::Time deadline) const override {
      Verdict verdict;
      verdict.extracted = absl::StrCat(absl::ToInt64Seconds(deadline - SteadyNow()));
      return verdict;
    }
    absl::Status CheckGold(absl::string_view gold) const override { return absl::OkStatus(); }
  };
  Graders::Map map;
  map["clock"] = std::make_unique<DeadlineGrader>();
  StartServer(Graders(std::move(map)));
  v1::GradeResponse response;
  // gRPC sends what is left in three digits, rounded up: from 1000 s on it may become 10 s more.
  ASSERT_TRUE(Grade(Request("a", "clock", "", ""), &response, absl::Seconds(900)).ok());
  EXPECT_THAT(response.verdict().extracted(), testing::AnyOf("901", "900", "899", "898", "897"));
}

TEST_F(ServerTest, ProgramsAreOfAPaceOfTheirOwn) {
  const Graders graders = MakeGraders();
  EXPECT_EQ((*graders.Find("code"))->pace(), Pace::kPrograms);
  for (const char* kind : {"choice", "math", "puzzle"})
    EXPECT_EQ((*graders.Find(kind))->pace(), Pace::kQuick);
}

class PacesTest : public ServerTest, public testing::WithParamInterface<Pace> {};
INSTANTIATE_TEST_SUITE_P(Slow, PacesTest, testing::Values(Pace::kPrograms, Pace::kModels));

TEST_P(PacesTest, SlowKindsDontHoldUpTheOthers) {
  Graders::Map map = ShippedGraders();
  map["gate"] = std::make_unique<GatedGrader>(&begun_, &go_, GetParam());
  StartServer(Graders(std::move(map)), /*threads=*/1);
  v1::GradeBatchRequest mixed;
  *mixed.add_requests() = Request("a", "gate", "", "");
  *mixed.add_requests() = Request("b", "math", "1", "1");
  v1::GradeBatchResponse both;
  std::thread slow([&] {
    grpc::ClientContext context;
    EXPECT_TRUE(stub_->GradeBatch(&context, mixed, &both).ok());
  });
  begun_.WaitForNotification();
  v1::GradeResponse response;
  EXPECT_TRUE(Grade(Request("c", "math", "1", "1"), &response).ok());
  EXPECT_EQ(response.verdict().outcome(), v1::Verdict::CORRECT);
  go_.Notify();
  slow.join();
  ASSERT_EQ(both.responses_size(), 2);
  EXPECT_EQ(both.responses(0).verdict().outcome(), v1::Verdict::CORRECT);
  EXPECT_EQ(both.responses(1).verdict().outcome(), v1::Verdict::CORRECT);
}

TEST_F(ServerTest, FinishesWhatIsInFlightWhenStopped) {
  StartGatedServer();
  v1::GradeResponse response;
  grpc::Status status;
  std::thread caller([&] { status = Grade(Request("a", "gate", "", ""), &response); });
  begun_.WaitForNotification();
  std::thread stopper([&] { server_->Shutdown(absl::Seconds(60)); });
  go_.Notify();
  stopper.join();
  caller.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.verdict().outcome(), v1::Verdict::CORRECT);
  EXPECT_EQ(Grade(Request("a", "gate", "", ""), &response).error_code(), StatusCode::UNAVAILABLE);
}

TEST_F(ServerTest, StopsAnIdleStreamAfterTheGrace) {
  StartServer();
  grpc::ClientContext context;
  auto stream = stub_->GradeStream(&context);
  ASSERT_TRUE(stream->Write(Request("a", "math", "1", "1")));
  v1::GradeResponse response;
  ASSERT_TRUE(stream->Read(&response));
  server_->Shutdown(absl::Milliseconds(10));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_FALSE(stream->Finish().ok());
}

// The bytes that a service answers to `request`; nullopt if the call fails.
std::optional<std::string> RawCall(const std::string& address, const std::string& method,
                                   const std::string& request) {
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(proto::ToGrpc(SteadyNow() + absl::Seconds(60)));
  grpc::CompletionQueue queue;
  grpc::Slice slice(request);
  auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) return std::nullopt;
  std::vector<grpc::Slice> slices;
  answer.Dump(&slices);
  std::string bytes;
  for (const grpc::Slice& one : slices) bytes.append(one.begin(), one.end());
  return bytes;
}

TEST_F(ServerTest, AnswersHealthChecks) {
  StartServer();
  // HealthCheckResponse{status: SERVING} of grpc.health.v1.
  EXPECT_EQ(RawCall(server_->address(), "/grpc.health.v1.Health/Check", ""),
            std::optional<std::string>("\x08\x01"));
}

TEST_F(ServerTest, DescribesItself) {
  StartServer();
  // ServerReflectionRequest{list_services: ""} of grpc.reflection.v1alpha.
  const std::string request("\x3a\x00", 2);
  const auto services =
      RawCall(server_->address(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
              request);
  ASSERT_TRUE(services.has_value());
  EXPECT_THAT(*services, testing::HasSubstr("ponder.v1.Verifier"));
}

TEST_F(ServerTest, CountsAndRecordsVerdicts) {
  const std::string audit = testing::TempDir() + "verifier_audit.jsonl";
  unlink(audit.c_str());
  options_.metrics_listen = "127.0.0.1:0";
  options_.audit_log = audit;
  StartServer();
  v1::GradeResponse response;
  ASSERT_TRUE(Grade(Request("a", "math", "1/2", "\\boxed{0.5}"), &response).ok());
  ASSERT_TRUE(Grade(Request("b", "math", "1/2", "<think>"), &response).ok());
  EXPECT_FALSE(Grade(Request("c", "alchemy", "1", "1"), &response).ok());

  const std::string page = Get(server_->metrics_address(), "/metrics");
  EXPECT_THAT(page, testing::StartsWith("200\n"));
  for (const char* line :
       {"# TYPE ponder_verifier_verdicts_total counter\n",
        "ponder_verifier_verdicts_total{kind=\"math\",outcome=\"correct\",detail=\"\"} 1\n",
        "ponder_verifier_verdicts_total{kind=\"math\",outcome=\"unparsable\",detail=\"unclosed_"
        "thought\"} 1\n",
        "ponder_verifier_grade_seconds_count{kind=\"math\"} 2\n",
        "ponder_verifier_grade_seconds_bucket{kind=\"math\",le=\"+Inf\"} 2\n",
        "ponder_verifier_refusals_total{code=\"INVALID_ARGUMENT\"} 1\n",
        "ponder_verifier_queue_length 0\n"}) {
    EXPECT_THAT(page, testing::HasSubstr(line));
  }
  EXPECT_THAT(Get(server_->metrics_address(), "/"), testing::StartsWith("404\n"));

  const std::string lines = ReadFile(audit).value_or("");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2) << lines;
  EXPECT_THAT(lines,
              testing::StartsWith(
                  R"({"id":"a","kind":"math","gold":"1/2","extracted":"0.5","verdict":"correct")"));
  unlink(audit.c_str());
}

TEST_F(ServerTest, SaysWhenThePortIsTaken) {
  StartServer();
  Server::Options options;
  options.listen = server_->address();
  const auto second = Server::Start(options, *graders_, &counters_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), testing::HasSubstr(server_->address()));
  options.listen = "nonsense";
  EXPECT_EQ(Server::Start(options, *graders_, &counters_).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace server_test
}  // namespace ponder::verifier

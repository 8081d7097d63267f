// The service over real gRPC, on a free port of this machine.
#include "verifier/server.h"

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace ponder::verifier {
namespace {

using grpc::StatusCode;

// Judges when it is let go; says when it has begun.
class GatedGrader final : public Grader {
 public:
  GatedGrader(absl::Notification* begun, absl::Notification* go) : begun_(begun), go_(go) {}
  Verdict Grade(const Question& question, absl::Time deadline) const override {
    if (!begun_->HasBeenNotified()) begun_->Notify();
    go_->WaitForNotification();
    Verdict verdict;
    verdict.outcome = Verdict::Outcome::kCorrect;
    return verdict;
  }
  absl::Status CheckGold(absl::string_view gold) const override { return absl::OkStatus(); }

 private:
  absl::Notification* const begun_;
  absl::Notification* const go_;
};

class ServerTest : public testing::Test {
 protected:
  void StartServer(Graders graders = MakeGraders(), int threads = 2, size_t queue = 64) {
    graders_ = std::make_unique<Graders>(std::move(graders));
    Server::Options options;
    options.workers.threads = threads;
    options.workers.queue_capacity = queue;
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options, *graders_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = v1::Verifier::NewStub(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  }

  // One worker and room for one call, with a grader "gate" that waits.
  void StartGatedServer() {
    Graders::Map map;
    map["gate"] = std::make_unique<GatedGrader>(&begun_, &go_);
    StartServer(Graders(std::move(map)), /*threads=*/1, /*queue=*/1);
  }

  static v1::GradeRequest Request(absl::string_view id, absl::string_view kind,
                                  absl::string_view gold, absl::string_view response) {
    v1::GradeRequest request;
    request.set_id(std::string(id));
    request.set_kind(std::string(kind));
    request.set_gold(std::string(gold));
    request.set_response(std::string(response));
    return request;
  }

  grpc::Status Grade(const v1::GradeRequest& request, v1::GradeResponse* response,
                     absl::Duration timeout = absl::Seconds(60)) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    return stub_->Grade(&context, request, response);
  }

  absl::Notification begun_, go_;
  std::unique_ptr<Graders> graders_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::Verifier::Stub> stub_;
};

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

TEST_F(ServerTest, SaysWhenThePortIsTaken) {
  StartServer();
  Server::Options options;
  options.listen = server_->address();
  const auto second = Server::Start(options, *graders_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), testing::HasSubstr(server_->address()));
  options.listen = "nonsense";
  EXPECT_EQ(Server::Start(options, *graders_).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ponder::verifier

// A verifier's server on a free port of this machine, and a client.
#pragma once

#include <httplib.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/transport.h"
#include "verifier/server.h"

namespace ponder::verifier {

// Judges when it is let go; says when it has begun.
class GatedGrader final : public Grader {
 public:
  GatedGrader(absl::Notification* begun, absl::Notification* go, Pace pace = Pace::kQuick)
      : begun_(begun), go_(go), pace_(pace) {}
  Verdict Grade(const Question& question, absl::Time deadline) const override {
    if (!begun_->HasBeenNotified()) begun_->Notify();
    go_->WaitForNotification();
    Verdict verdict;
    verdict.outcome = Verdict::Outcome::kCorrect;
    return verdict;
  }
  absl::Status CheckGold(absl::string_view gold) const override { return absl::OkStatus(); }
  Pace pace() const override { return pace_; }

 private:
  absl::Notification* const begun_;
  absl::Notification* const go_;
  const Pace pace_;
};

class ServerTest : public testing::Test {
 protected:
  void StartServer(Graders graders = MakeGraders(), int threads = 2, size_t queue = 64) {
    graders_ = std::make_unique<Graders>(std::move(graders));
    options_.workers.quick = options_.workers.programs = {threads, queue};
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options_, *graders_, &counters_);
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
    context.set_deadline(proto::ToGrpc(SteadyNow() + timeout));
    return stub_->Grade(&context, request, response);
  }

  // The whole answer of an HTTP server at host:port.
  static std::string Get(const std::string& address, const std::string& path) {
    const size_t colon = address.rfind(':');
    httplib::Client client(address.substr(0, colon), std::stoi(address.substr(colon + 1)));
    const httplib::Result result = client.Get(path);
    if (!result) return "";
    return absl::StrCat(result->status, "\n", result->body);
  }

  absl::Notification begun_, go_;
  Server::Options options_;  // what StartServer doesn't set
  Counters counters_;
  std::unique_ptr<Graders> graders_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::Verifier::Stub> stub_;
};

}  // namespace ponder::verifier

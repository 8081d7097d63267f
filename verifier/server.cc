#include "verifier/server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "proto/transport.h"
#include "verifier/host_port.h"

namespace ponder::verifier {

Server::Server(const Options& options, const Graders& graders, Access access,
               std::unique_ptr<Record> record)
    : access_(std::move(access)),
      record_(std::move(record)),
      workers_(options.workers),
      service_(graders, access_, workers_, *record_) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Options& options,
                                                      const Graders& graders, Counters* counters) {
  PONDER_ASSIGN_OR_RETURN(const HostPort at, ParseHostPort(options.listen));
  PONDER_ASSIGN_OR_RETURN(Access access, Access::Load(options.access));
  PONDER_ASSIGN_OR_RETURN(auto record, Record::Open(options.audit_log, counters));
  std::unique_ptr<Server> made(new Server(options, graders, std::move(access), std::move(record)));
  if (!options.metrics_listen.empty()) {
    PONDER_ASSIGN_OR_RETURN(
        made->page_, MetricsPage::Start(options.metrics_listen, [server = made.get(), counters] {
          counters->Set(Metric::kQueueLength, static_cast<double>(server->workers_.waiting()));
          counters->Set(Metric::kCallsInFlight, server->service_.calls_in_flight());
          return counters->Page();
        }));
  }
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.listen, made->access_.credentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT,
                             0);  // a second server must see that the port is taken
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.SetMaxSendMessageSize(options.max_message_bytes);
  builder.RegisterService(&made->service_);
  made->server_ = builder.BuildAndStart();
  if (made->server_ == nullptr || port == 0) {
    const absl::Status failed = CantListen(options.listen);
    if (!made->access_.has_tls()) return failed;
    return absl::UnavailableError(absl::StrCat(failed.message(), "; or ", options.access.tls_key,
                                               " is not the key of ", options.access.tls_cert));
  }
  made->address_ = absl::StrCat(at.host, ":", port);
  return made;
}

void Server::SetServing(const std::string& name, bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(name, serving);
}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

void Server::Shutdown(absl::Duration grace) {
  if (server_ == nullptr) return;
  server_->GetHealthCheckService()->Shutdown();
  service_.Drain(SteadyNow() + grace);
  server_->Shutdown(proto::ToGrpc(SteadyNow()));
  server_->Wait();
}

}  // namespace ponder::verifier

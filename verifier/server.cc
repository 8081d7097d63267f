#include "verifier/server.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"

namespace ponder::verifier {

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Options& options,
                                                      const Graders& graders) {
  const size_t colon = options.listen.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(options.listen.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("can't listen on '", options.listen,
                                                   "': give host:port, e.g. 127.0.0.1:50051"));
  }
  std::unique_ptr<Server> made(new Server(options, graders));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT,
                             0);  // a second server must see that the port is taken
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.SetMaxSendMessageSize(options.max_message_bytes);
  builder.RegisterService(&made->service_);
  made->server_ = builder.BuildAndStart();
  if (made->server_ == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat("can't listen on ", options.listen,
                                               ": the port is in use or the address is not this "
                                               "machine's; give another (port 0: any free one)"));
  }
  made->address_ = absl::StrCat(options.listen.substr(0, colon), ":", port);
  return made;
}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

void Server::Shutdown(absl::Duration grace) {
  if (server_ == nullptr) return;
  server_->GetHealthCheckService()->Shutdown();
  service_.Drain(absl::Now() + grace);
  server_->Shutdown(absl::ToChronoTime(absl::Now()));
  server_->Wait();
}

}  // namespace ponder::verifier

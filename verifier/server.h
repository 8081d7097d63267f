// The verifier as a gRPC server: Verifier, health and reflection services on one port.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "verifier/graders.h"
#include "verifier/service.h"
#include "verifier/workers.h"

namespace ponder::verifier {

// A machine. Serves from Start until Shutdown or the end of its life.
class Server {
 public:
  struct Options {
    std::string listen = "127.0.0.1:0";  // host:port; port 0: any free one
    Workers::Options workers;
    int max_message_bytes = 64 << 20;  // of one RPC message
  };
  // `graders` outlives the server. Unavailable: the port is in use or the address not ours.
  // InvalidArgument: no host:port.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const Options& options,
                                                       const Graders& graders);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // host:port, with the host as given and the port that was bound.
  const std::string& address() const { return address_; }

  // Takes no new calls and says so to health checks, finishes those in flight, cancels what is not
  // done after `grace`.
  void Shutdown(absl::Duration grace);

 private:
  Server(const Options& options, const Graders& graders)
      : workers_(options.workers), service_(graders, workers_) {}

  std::string address_;
  Workers workers_;
  VerifierService service_;
  std::unique_ptr<grpc::Server> server_;  // ends before what it calls
};

}  // namespace ponder::verifier

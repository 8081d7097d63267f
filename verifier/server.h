// The verifier as a gRPC server: Verifier, health and reflection services on one port; Prometheus'
// page on another.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "verifier/access.h"
#include "verifier/counters.h"
#include "verifier/graders.h"
#include "verifier/metrics_page.h"
#include "verifier/record.h"
#include "verifier/service.h"
#include "verifier/workers.h"

namespace ponder::verifier {

// A machine. Serves from Start until Shutdown or the end of its life.
class Server {
 public:
  struct Options {
    std::string listen = "127.0.0.1:0";  // host:port; port 0: any free one
    WorkersByPace::Options workers;
    Access::Options access;
    std::string metrics_listen;        // host:port of the page; empty: none
    std::string audit_log;             // file that verdicts are appended to; empty: none
    int max_message_bytes = 64 << 20;  // of one RPC message
  };
  // Both outlive the server. Unavailable: a port is in use, an address not ours, or the certificate
  // doesn't fit its key. InvalidArgument: no host:port, or options that don't go together.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const Options& options,
                                                       const Graders& graders, Counters* counters);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // host:port, with the host as given and the port that was bound.
  const std::string& address() const { return address_; }
  // Of the metrics page; empty if there is none.
  std::string metrics_address() const { return page_ == nullptr ? "" : page_->address(); }

  // What the health service says of `name`; of the server as a whole ("") it says that it serves.
  void SetServing(const std::string& name, bool serving);

  // Takes no new calls and says so to health checks, finishes those in flight, cancels what is not
  // done after `grace`.
  void Shutdown(absl::Duration grace);

 private:
  Server(const Options& options, const Graders& graders, Access access,
         std::unique_ptr<Record> record);

  const Access access_;
  const std::unique_ptr<Record> record_;
  std::string address_;
  WorkersByPace workers_;
  VerifierService service_;
  std::unique_ptr<MetricsPage> page_;
  std::unique_ptr<grpc::Server> server_;  // ends before what it calls
};

}  // namespace ponder::verifier

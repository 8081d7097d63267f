// Listener: the HTTP side that the servers share: connections, limits, and how errors look.
#pragma once

#include <httplib.h>

#include <cstdint>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "actor/server/openai.h"
#include "actor/server/server_options.h"

namespace ponder::actor {

// A machine; owns the port and the threads of its connections. Routes are added before Start.
class Listener : public httplib::Server {
 public:
  ~Listener() override;

  // Serves in a thread of its own. Unavailable: the port cannot be had.
  absl::Status Start(const ServerOptions& options);
  int port() const { return port_; }
  // From any thread.
  void Stop() { stop(); }
  // Blocks until Stop.
  void Wait();

 private:
  int port_ = 0;
  std::thread thread_;
};

void Answer(const ApiError& error, httplib::Response& response);
void AnswerJson(const std::string& body, httplib::Response& response);
// Adds a metric in Prometheus' text format.
void AddMetric(const char* name, const char* type, const char* help, int64_t value,
               std::string* page);

}  // namespace ponder::actor

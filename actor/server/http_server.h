// HttpServer: an OpenAI-compatible server on an EngineThread. docs/engine.md lists what it answers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actor/server/engine_thread.h"
#include "actor/server/server_options.h"

namespace ponder::actor {

// A machine; owns the port, the threads of its connections and the engine.
class HttpServer {
 public:
  struct Options : ServerOptions {
    EngineThread::Options engine;
  };
  // Unavailable: the port cannot be had. Else what EngineThread::Start says.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const Options& options,
                                                           const moe::Model& model);
  // Ends every call.
  ~HttpServer();

  int port() const;
  Engine::Stats stats() const;
  // Blocks until Stop.
  void Wait();
  // From any thread.
  void Stop();

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ponder::actor

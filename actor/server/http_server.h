// HttpServer: an OpenAI-compatible server on an EngineThread. docs/engine.md lists what it answers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actor/server/engine_thread.h"
#include "data/model_text.h"

namespace ponder::actor {

// A machine; owns the port, the threads of its connections and the engine.
class HttpServer {
 public:
  struct Options {
    std::string host = "127.0.0.1";
    int port = 0;                // 0: any free one
    std::string served_model;    // its name
    int connections = 128;       // served at once, a thread each; more wait
    int64_t max_body = 8 << 20;  // bytes of a call
    EngineThread::Options engine;
    std::shared_ptr<const data::ModelText> text = data::ByteText();  // of the model
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

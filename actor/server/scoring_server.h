// ScoringServer: a reward or value model behind HTTP: how good a response is, as a number.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/model_text.h"
#include "moe/checkpoint.h"

namespace ponder::actor {

// A machine; owns the port and the threads of its connections. POST /pooling, in vLLM's shape:
//
//   {"messages": [..., {"role": "assistant", "content": ...}]}  or  {"input": text or token ids}
//   -> {"object": "list", "data": [{"index": 0, "object": "pooling", "data": [score]}], "usage"}
//
// One call is computed at a time. docs/engine.md tells the rest.
class ScoringServer {
 public:
  struct Options {
    std::string host = "127.0.0.1";
    int port = 0;                // 0: any free one
    std::string served_model;    // its name
    int connections = 128;       // served at once, a thread each; more wait
    int64_t max_body = 8 << 20;  // bytes of a call
    int threads = 1;             // of the computation
    std::shared_ptr<const data::ModelText> text = data::ByteText();  // of the model
  };
  // FailedPrecondition: the model has no scalar head. Unavailable: the port cannot be had.
  static absl::StatusOr<std::unique_ptr<ScoringServer>> Start(const Options& options,
                                                              const moe::Model& model);
  ~ScoringServer();

  int port() const;
  // Blocks until Stop.
  void Wait();
  // From any thread.
  void Stop();

 private:
  struct State;
  explicit ScoringServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ponder::actor

// ScoringServer: a reward or value model behind HTTP: how good a response is, as a number.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actor/server/server_options.h"
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
  struct Options : ServerOptions {
    int threads = 1;  // of the computation
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

// Engine: batched generation. Sequences join and leave the running batch between tokens; siblings
// of one prompt share its prefill. A sample is a pure function of weights, prompt, sample key and
// seed (promise 1): nothing here may let one sequence see another. A machine; one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "moe/inference.h"
#include "moe/kernels/sampling.h"

namespace ponder::actor {

class Engine {
 public:
  struct Options {
    int threads = 1;
    int64_t max_batch = 256;       // sequences decoded together
    int64_t kv_cache_mib = 256;    // budget of KV pages
    int64_t prefill_tokens = 512;  // prompt tokens fed in one forward pass, at most
  };
  struct Request {
    SampleKey key;                       // keys the random draws; unique among live requests
    std::vector<int32_t> prompt_tokens;  // not empty
    int64_t max_new_tokens = 0;          // prompt + this must fit max_position_embeddings
    kernels::SamplingOptions sampling;
    uint64_t seed = 0;
    int32_t eos_token = 0;
  };
  struct Finished {
    SampleKey key;
    std::vector<int32_t> tokens;  // with the end-of-sequence token, if it came
    std::vector<float> logprobs;
    std::vector<Segment> segments;
    StopReason stop_reason = StopReason::kEndOfSequence;
  };

  // The smallest kv_cache_mib that a model of this config can be served with.
  static int64_t LeastKvCacheMib(const moe::ModelConfig& config);
  // ResourceExhausted: the KV budget does not hold one sequence of max_position_embeddings and a
  // page more. InvalidArgument: an option below 1, or weights that do not fit the config.
  static absl::StatusOr<std::unique_ptr<Engine>> Make(const Options& options,
                                                      const moe::Model& model, int64_t version);
  ~Engine();

  // InvalidArgument: empty or too long for the model, a token or a sampling option out of range, a
  // key that is live already.
  absl::Status Enqueue(Request request);
  // What Enqueue would say.
  absl::Status Check(const Request& request) const;
  // Admits what fits, in order, feeds prompts, decodes one token for every running sequence;
  // appends what finished to `done`. A sequence is admitted with all the pages that it could come
  // to need: what runs always ends, and gives its pages back. Siblings share a prefill if they are
  // consecutive in the queue. `on_token`, if set, sees each new token.
  using OnToken = std::function<void(const SampleKey& key, int32_t token, float logprob)>;
  absl::Status Step(std::vector<Finished>* done, const OnToken& on_token = nullptr);
  // Running and waiting sequences.
  int64_t pending() const;
  // Swaps the weights between two tokens. Running sequences go on under the new ones, on the keys
  // and values that the old ones made (their next segment says so); what starts later sees the new
  // ones alone. An error leaves the old weights.
  absl::Status SetModel(const moe::Model& model, int64_t version);
  int64_t version() const;
  // KV pages that are taken; 0 when nothing is pending.
  int64_t pages_in_use() const;
  const moe::ModelConfig& config() const;

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Enqueues all, steps until none is left; results in the order of `requests`, whose keys differ.
// Nothing else may be pending in `engine`. InvalidArgument, before anything is generated: what
// Engine::Check says of a request.
// `progress`, if set, is called after each step that finished some, with how many of them have.
absl::StatusOr<std::vector<Engine::Finished>> GenerateAll(
    Engine& engine, std::vector<Engine::Request> requests,
    const std::function<void(int64_t done, int64_t total)>& progress = nullptr);

}  // namespace ponder::actor

// Engine: batched generation. Sequences join and leave the running batch between tokens; what two
// of them begin with is computed once. A sample is a pure function of weights, prompt, sample key
// and seed (promise 1): nothing here may let one sequence see another. docs/engine.md tells how.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/types.h"
#include "moe/inference.h"
#include "moe/kernels/sampling.h"

namespace ponder::actor {

// A machine; one thread at a time.
class Engine {
 public:
  // What becomes of a running sequence's keys and values when the weights change.
  enum class KvOnSwap {
    kRecompute,  // computed again: its next tokens are exactly those of the new weights
    kKeep,  // kept: no pause, but its next tokens are of no single version (Segment::kv_version)
  };
  struct Options {
    int threads = 1;
    int64_t max_batch = 256;       // sequences decoded together
    int64_t kv_cache_mib = 256;    // budget of KV pages
    int64_t prefill_tokens = 512;  // prompt tokens fed in one forward pass, at most
    KvOnSwap kv_on_swap = KvOnSwap::kRecompute;
    // How the matrices are kept. Log-probs are the learner's, bit for bit, in float32 alone.
    kernels::WeightType weight_type = kernels::WeightType::kFloat32;
    // Finished sequences tell which experts their tokens were routed to.
    bool record_routing = false;
    // The bytes that a token adds to the text; needed for stop strings alone.
    std::function<std::string(int32_t token)> token_text;
  };
  // Where a thought ends at the latest.
  struct ThinkBudget {
    int64_t tokens = -1;  // of a thought, at most; then `close` is forced. -1: no limit
    int32_t open = -1;    // <think>, in the prompt or the response
    int32_t close = -1;   // </think>
  };
  struct Request {
    SampleKey key;                       // keys the random draws; unique among live requests
    std::vector<int32_t> prompt_tokens;  // not empty
    int64_t max_new_tokens = 0;          // prompt + this must fit max_position_embeddings
    kernels::SamplingOptions sampling;
    uint64_t seed = 0;
    std::string random_stream;              // keys the draws in place of key.prompt_id unless empty
    std::vector<int32_t> eos_tokens;        // each ends it, with kEndOfSequence
    std::vector<int32_t> stop_tokens;       // end it as well, with kStop
    std::vector<std::string> stop_strings;  // of its text; end it with kStop
    ThinkBudget think;
    int64_t top_logprobs = 0;  // how many of the likeliest tokens OnToken is shown
  };
  struct Finished {
    SampleKey key;
    // With the token that ended it: end of sequence, stop token, the end of a stop string.
    std::vector<int32_t> tokens;
    std::vector<float> logprobs;  // kernels::SampledToken::logprob, what the learner recomputes
    // The other two of kernels::SampledToken, kept where they can differ: unless temperature is 0
    // or 1; if something is truncated, adjusted or forced.
    std::vector<float> untempered_logprobs;
    std::vector<float> drawn_logprobs;
    std::vector<int64_t> forced;  // which tokens were forced, not drawn
    std::vector<Segment> segments;
    // With record_routing, unless cancelled: of all tokens but the last, prompt included
    // (moe/routing_record.h). Where keys and values were computed again under new weights it is
    // what those chose.
    std::string routed_experts;
    StopReason stop_reason = StopReason::kEndOfSequence;
  };
  struct Token {
    const SampleKey& key;
    kernels::SampledToken token;
    // With untempered log-probs, best first; valid during the call.
    absl::Span<const std::pair<int32_t, float>> top;
  };
  struct Stats {
    int64_t running = 0, waiting = 0;  // waiting: preempted ones as well
    int64_t pages = 0, pages_in_use = 0;
    // Since the beginning.
    int64_t tokens_generated = 0;
    int64_t tokens_fed = 0;     // through the model, generated ones included
    int64_t tokens_shared = 0;  // not fed, because their pages were at hand
    int64_t preemptions = 0;
    int64_t steps = 0;
  };

  // The smallest kv_cache_mib that a model of this config can be served with.
  static int64_t LeastKvCacheMib(const moe::ModelConfig& config);
  // ResourceExhausted: the KV budget does not hold one sequence of max_position_embeddings.
  // InvalidArgument: an option below 1, or weights that do not fit the config.
  static absl::StatusOr<std::unique_ptr<Engine>> Make(const Options& options,
                                                      const moe::Model& model, int64_t version);
  ~Engine();

  // InvalidArgument: empty or too long for the model, a token or a sampling option out of range, a
  // key that is live already.
  absl::Status Enqueue(Request request);
  // What Enqueue would say.
  absl::Status Check(const Request& request) const;
  // Admits what fits, in order, decodes one token for every running sequence and feeds a chunk of
  // prompts, in one forward pass; appends what finished to `done`. A sequence is admitted when
  // there are pages for what it has; if they run out later, the youngest give theirs up, wait and
  // are computed again. The oldest always goes on, so all end. `on_token`, if set, sees each new
  // token.
  using OnToken = std::function<void(const Token&)>;
  absl::Status Step(std::vector<Finished>* done, const OnToken& on_token = nullptr);
  // Ends a request between two steps. What it has made so far, with kCancelled; nothing if no such
  // request is live.
  std::optional<Finished> Cancel(const SampleKey& key);
  // Running and waiting sequences.
  int64_t pending() const;
  // Swaps the weights between two tokens; running sequences go on under the new ones (their next
  // segment says so), by Options::kv_on_swap. An error leaves the old weights.
  absl::Status SetModel(const moe::Model& model, int64_t version);
  int64_t version() const;
  // KV pages that sequences hold; 0 when nothing is pending.
  int64_t pages_in_use() const;
  Stats stats() const;
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

// PolicyBatch: what one update trains on, as flat arrays that every rank holds; and its split over
// ranks and micro-batches. Values. A sequence is a prompt followed by its response; only response
// tokens have a loss.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/types.h"
#include "comm/group.h"

namespace ponder::learner {

struct PolicyBatch {
  // --- from the actors, by Append ---
  std::vector<int32_t> tokens;          // all sequences, one after another
  std::vector<int64_t> starts = {0};    // [S + 1]: sequence s is tokens [starts[s], starts[s + 1])
  std::vector<int64_t> prompt_lengths;  // [S]
  std::vector<float> behaviour_logprobs;  // aligned with tokens; 0 for prompt tokens
  std::vector<int64_t>
      versions;  // aligned with tokens: the oldest weights that had a part in sampling it, be it by
                 // keys and values kept from before a swap; -1 for prompt tokens
  std::vector<uint16_t> routing;  // [tokens, routing_slots]: experts, as moe::PackedBatch has them
  int64_t routing_slots = 0;      // 0: the routers choose
  // --- from the verdicts; [S] ---
  std::vector<double> rewards;
  std::vector<int64_t> groups;    // samples of one prompt have one number
  std::vector<uint8_t> correct;   // 0 or 1
  std::vector<uint8_t> included;  // 0: masked out of the loss (overlong filtering)
  // --- from forward passes at the start of the step; aligned with tokens, or empty: not asked for
  std::vector<float> proximal_logprobs;   // of the learner's own weights
  std::vector<float> reference_logprobs;  // of the reference policy
  std::vector<float> values;              // of the state before the token
  // --- from ComputeAdvantages; aligned with tokens, 0 for prompt tokens ---
  std::vector<float> advantages;
  std::vector<float> returns;  // what the value model aims at; empty without one

  int64_t sequences() const { return static_cast<int64_t>(prompt_lengths.size()); }
  int64_t length(int64_t s) const { return starts[s + 1] - starts[s]; }
  // Response tokens of sequence s, and of all.
  int64_t response_length(int64_t s) const { return length(s) - prompt_lengths[s]; }
  int64_t response_tokens() const;

  // Where the response of sequence s begins.
  int64_t response_start(int64_t s) const { return starts[s] + prompt_lengths[s]; }
  // The log-probs that the importance ratio is taken against.
  const std::vector<float>& old_logprobs() const {
    return proximal_logprobs.empty() ? behaviour_logprobs : proximal_logprobs;
  }

  // Appends a sequence without behaviour (SFT): logprobs 0, version -1, reward 0.
  void Append(absl::Span<const int32_t> prompt, absl::Span<const int32_t> response);
  // What the verifier made of a sample.
  struct Outcome {
    double reward = 0;
    int64_t group = 0;
    bool correct = false;
    bool included = true;
  };
  // Appends what an actor sampled. With routing_slots, `routed` are the experts of all
  // its tokens but the last.
  void Append(const Rollout& rollout, const Outcome& outcome,
              absl::Span<const uint16_t> routed = {});
};

// Sequences of a batch packed for one forward pass that scores their response tokens.
struct SequencePack {
  std::vector<int32_t> tokens;  // of the sequences, one after another
  std::vector<int64_t> starts{0};
  std::vector<uint16_t> routing;  // of `tokens`, if the batch has it
  std::vector<int32_t> rows;      // [N] the position before each response token, in `tokens`
  std::vector<int32_t> targets;   // [N] the response tokens
  std::vector<int64_t> places;    // [N] where they are in the batch's arrays
  std::vector<int64_t> responses{
      0};  // [S + 1]: response s is entries [responses[s], responses[s + 1])
};
SequencePack PackSequences(const PolicyBatch& batch, absl::Span<const int64_t> sequences);

// The batch of rank 0 replaces everybody's. Collective.
absl::Status BroadcastBatch(comm::Group& group, PolicyBatch* batch);

// Which sequences one rank trains, micro-batch by micro-batch. Every rank gets the same number of
// micro-batches (some may be empty), since expert parallelism makes each forward pass a collective.
using MicroBatches = std::vector<std::vector<int64_t>>;

// Splits the chosen sequences over `ranks`, longest first onto the rank with the fewest tokens so
// far, then each rank's share into micro-batches of at most `max_tokens` (a longer sequence gets
// one of its own). A pure function of its arguments.
std::vector<MicroBatches> SplitBatch(const PolicyBatch& batch, absl::Span<const int64_t> chosen,
                                     int ranks, int64_t max_tokens);
// The same for whatever has so many tokens each; gives indices into `loads`.
std::vector<MicroBatches> SplitLoads(absl::Span<const int64_t> loads, int ranks,
                                     int64_t max_tokens);

}  // namespace ponder::learner

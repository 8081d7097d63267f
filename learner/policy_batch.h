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
  std::vector<int32_t> tokens;          // all sequences, one after another
  std::vector<int64_t> starts = {0};    // [S + 1]: sequence s is tokens [starts[s], starts[s + 1])
  std::vector<int64_t> prompt_lengths;  // [S]
  std::vector<float> behaviour_logprobs;  // aligned with tokens; 0 for prompt tokens
  std::vector<int64_t>
      versions;  // aligned with tokens: weights that sampled it; -1 for prompt tokens
  std::vector<float> advantages;  // [S]

  int64_t sequences() const { return static_cast<int64_t>(prompt_lengths.size()); }
  int64_t length(int64_t s) const { return starts[s + 1] - starts[s]; }
  // Response tokens of sequence s, and of all.
  int64_t response_length(int64_t s) const { return length(s) - prompt_lengths[s]; }
  int64_t response_tokens() const;

  // Appends a sequence without behaviour (SFT): logprobs 0, version -1, advantage 0.
  void Append(absl::Span<const int32_t> prompt, absl::Span<const int32_t> response);
  // Appends what an actor sampled.
  void Append(const Rollout& rollout, double advantage);
};

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

}  // namespace ponder::learner

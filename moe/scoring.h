// What a model says of given tokens: their log-probs and the experts that its routers choose, or
// how good it finds them all.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "moe/inference.h"

namespace ponder::moe {

struct TokenScores {
  std::vector<float> logprobs;  // [T - 1]: of ids[t + 1] after ids[0..t]
  // [layers]: [T * num_experts_per_tok], see Inference::routing; empty for dense layers, or when
  // not asked for.
  std::vector<Inference::Routing> routing;
};

// InvalidArgument: no ids, more than max_position_embeddings, one outside the vocabulary.
absl::StatusOr<TokenScores> ScoreTokens(Inference& inference, absl::Span<const int32_t> ids,
                                        bool routing);

// What a model with a scalar head says after the last of `ids`. The same errors; and
// FailedPrecondition: the model has none. ScoreTokens says so of one that has.
absl::StatusOr<float> ScoreSequence(Inference& inference, absl::Span<const int32_t> ids);

}  // namespace ponder::moe

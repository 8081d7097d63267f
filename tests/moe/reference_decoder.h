// The specification of the decoder in slow, obvious loops over doubles, for tests: no cache, no
// batch, no kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "moe/checkpoint.h"

namespace ponder::moe {

// Logits [T][V] after each of the tokens of one sequence.
std::vector<std::vector<double>> ReferenceLogits(const Model& model,
                                                 absl::Span<const int32_t> tokens);

// log softmax(logits / temperature)[token]; temperature 1 when greedy (0).
double ReferenceLogprob(const std::vector<double>& logits, int32_t token, double temperature);

// A random model whose norms are random too, with matrices large enough that attention and routing
// are decisive.
Model RandomModel(const ModelConfig& config, uint64_t seed);

}  // namespace ponder::moe

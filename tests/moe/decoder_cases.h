// Small models, weights and batches for the decoder's tests: pure functions of a seed.
#pragma once

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "moe/decoder.h"
#include "moe/model_config.h"
#include "moe/weights.h"

namespace ponder::moe {

struct DecoderCase {
  std::string name;
  ModelConfig config;
};
inline void PrintTo(const DecoderCase& one, std::ostream* out) { *out << one.name; }

// GQA, QK-norm, softmax router with normalised top-2 of 4 experts, 3 layers.
ModelConfig SmallConfig();
// SmallConfig and one variant for every switch of ModelConfig.
std::vector<DecoderCase> DecoderCases();

// Every matrix normal with deviation 1/sqrt(columns), norms 1 + normal / 5: nothing is small or
// symmetric.
std::shared_ptr<const Weights> RandomWeights(const ModelConfig& config, uint64_t seed);

// Sequences of these lengths of random tokens.
PackedBatch RandomBatch(const ModelConfig& config, const std::vector<int64_t>& lengths,
                        uint64_t seed);

// What a test scores: rows of a batch and the tokens that follow them, with a coefficient for each
// in the loss.
struct Targets {
  std::vector<int32_t> rows;
  std::vector<int32_t> targets;
  std::vector<float> coefficients;  // normal
};
// About two of three rows.
Targets RandomTargets(const ModelConfig& config, const PackedBatch& batch, uint64_t seed);

}  // namespace ponder::moe

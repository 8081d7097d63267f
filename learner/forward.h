// Forward passes without gradient over a whole batch, shared out among the ranks: the log-probs or
// values of every response token, the same on every rank.
#pragma once

#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "learner/mesh.h"
#include "learner/policy_batch.h"
#include "moe/decoder.h"

namespace ponder::learner {

struct ForwardOptions {
  int64_t max_tokens_per_microbatch = 16384;
  double temperature = 1;  // of the policy
  bool replay = false;     // the batch's routing; else the routers choose
};

// Aligned with the batch's tokens, 0 for prompt tokens. Collective.
absl::StatusOr<std::vector<float>> ForwardLogprobs(const ForwardOptions& options,
                                                   const PolicyBatch& batch, moe::Decoder& decoder,
                                                   const Mesh& mesh);
// The scalar head's output before each response token.
absl::StatusOr<std::vector<float>> ForwardValues(const ForwardOptions& options,
                                                 const PolicyBatch& batch, moe::Decoder& decoder,
                                                 const Mesh& mesh);

// The same of a head [1, H] that is not the decoder's own.
absl::StatusOr<std::vector<float>> ForwardHeadValues(const ForwardOptions& options,
                                                     const PolicyBatch& batch,
                                                     moe::Decoder& decoder, const at::Tensor& head,
                                                     const Mesh& mesh);

// A pack as a decoder takes it, with its routing or without.
moe::PackedBatch PackedOf(const SequencePack& pack, bool replay);

}  // namespace ponder::learner

// See batch.h.
#include "moe/layers/batch.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "moe/routing_record.h"

namespace ponder::moe {
namespace {

absl::Status CheckRouting(const ModelConfig& config, const PackedBatch& packed) {
  if (packed.routing.empty()) return absl::OkStatus();
  const RoutingShape shape = RoutingShape::Of(config);
  const int64_t slots = shape.token_slots();
  const int64_t t = packed.tokens.size();
  if (static_cast<int64_t>(packed.routing.size()) != t * slots) {
    return absl::InvalidArgumentError(absl::StrCat("batch: routing has ", packed.routing.size(),
                                                   " experts; ", t, " tokens need ", t * slots));
  }
  for (int64_t token = 0; token < t; ++token) {
    const uint16_t* of_token = packed.routing.data() + token * slots;
    if (slots > 0 && of_token[0] == kUnroutedToken) continue;
    for (int64_t i = 0; i < slots; ++i) {
      if (of_token[i] < shape.experts) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "batch: token ", token, " is routed to expert ", of_token[i], " of ", shape.experts));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Batch> CheckBatch(const ModelConfig& config, const PackedBatch& packed) {
  const int64_t t = packed.tokens.size();
  if (packed.starts.empty() || packed.starts.front() != 0 || packed.starts.back() != t) {
    return absl::InvalidArgumentError(
        absl::StrCat("batch: starts must go from 0 to ", t, ", the number of tokens"));
  }
  PONDER_RETURN_IF_ERROR(CheckRouting(config, packed));
  Batch batch{packed.tokens, {}, packed.starts, packed.routing};
  batch.positions.reserve(t);
  for (size_t s = 0; s + 1 < packed.starts.size(); ++s) {
    const int64_t length = packed.starts[s + 1] - packed.starts[s];
    if (length < 0 || length > config.max_position_embeddings) {
      return absl::InvalidArgumentError(absl::StrCat("batch: sequence ", s, " has ", length,
                                                     " tokens; the model takes 0 to ",
                                                     config.max_position_embeddings));
    }
    for (int64_t i = 0; i < length; ++i) batch.positions.push_back(static_cast<int32_t>(i));
  }
  for (int64_t i = 0; i < t; ++i) {
    if (packed.tokens[i] < 0 || packed.tokens[i] >= config.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat("batch: token ", i, " is ", packed.tokens[i],
                                                     ", outside the vocabulary of ",
                                                     config.vocab_size));
    }
  }
  return batch;
}

absl::Status CheckTargets(const ModelConfig& config, int64_t tokens, absl::Span<const int32_t> rows,
                          absl::Span<const int32_t> targets, float temperature) {
  if (rows.size() != targets.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(rows.size(), " rows, but ", targets.size(), " targets: one for each"));
  }
  if (!(temperature > 0)) {
    return absl::InvalidArgumentError(absl::StrCat("temperature ", temperature, " is not above 0"));
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < 0 || rows[i] >= tokens) {
      return absl::InvalidArgumentError(
          absl::StrCat("row ", i, " is ", rows[i], ", outside the batch of ", tokens, " tokens"));
    }
    if (targets[i] < 0 || targets[i] >= config.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat(
          "target ", i, " is ", targets[i], ", outside the vocabulary of ", config.vocab_size));
    }
  }
  return absl::OkStatus();
}

}  // namespace ponder::moe

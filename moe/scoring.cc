#include "moe/scoring.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "moe/kernels/aligned_buffer.h"
#include "moe/kernels/softmax.h"

namespace ponder::moe {
namespace {

constexpr int64_t kChunk = 128;  // tokens of a forward pass: bounds the logits

absl::Status Check(const ModelConfig& config, absl::Span<const int32_t> ids) {
  if (ids.empty()) return absl::InvalidArgumentError("there are no ids");
  if (static_cast<int64_t>(ids.size()) > config.max_position_embeddings) {
    return absl::InvalidArgumentError(absl::StrCat(
        ids.size(), " ids, the model takes ", config.max_position_embeddings));
  }
  for (int32_t id : ids) {
    if (id < 0 || id >= config.vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("id ", id, " is outside the vocabulary of ", config.vocab_size));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenScores> ScoreTokens(Inference& inference, absl::Span<const int32_t> ids,
                                        bool routing) {
  const ModelConfig& config = inference.config();
  if (absl::Status status = Check(config, ids); !status.ok()) return status;
  const int64_t t = static_cast<int64_t>(ids.size());
  const int64_t page_floats =
      kernels::KvPageFloats(config.attention_shape(), config.num_hidden_layers);
  std::vector<kernels::AlignedBuffer> memory;
  std::vector<float*> pages;
  for (int64_t at = 0; at < t; at += kernels::kKvBlock) {
    memory.emplace_back(page_floats);
    pages.push_back(memory.back().data());
  }
  inference.RecordRouting(routing);
  TokenScores scores;
  if (routing) scores.routing.resize(static_cast<size_t>(config.num_hidden_layers));
  for (int64_t begin = 0; begin < t; begin += kChunk) {
    const int64_t end = std::min(t, begin + kChunk);
    std::vector<kernels::AttentionRow> rows;
    std::vector<int32_t> logit_rows;
    for (int64_t i = begin; i < end; ++i) {
      rows.push_back({pages.data(), i + 1});
      if (i + 1 < t) logit_rows.push_back(static_cast<int32_t>(i - begin));
    }
    inference.Forward(ids.subspan(static_cast<size_t>(begin), rows.size()), rows, logit_rows);
    for (int64_t row : logit_rows) {
      const float* logits = inference.logits(row);
      const kernels::SoftmaxRow softmax = kernels::SoftmaxOf(logits, config.vocab_size, 1);
      scores.logprobs.push_back(kernels::LogProb(logits, 1, softmax.log_z,
                                                 ids[static_cast<size_t>(begin + row + 1)]));
    }
    for (size_t layer = 0; layer < scores.routing.size(); ++layer) {
      const Inference::Routing& chosen = inference.routing(static_cast<int64_t>(layer));
      Inference::Routing& all = scores.routing[layer];
      all.experts.insert(all.experts.end(), chosen.experts.begin(), chosen.experts.end());
      all.weights.insert(all.weights.end(), chosen.weights.begin(), chosen.weights.end());
    }
  }
  inference.RecordRouting(false);
  return scores;
}

}  // namespace ponder::moe

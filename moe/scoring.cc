#include "moe/scoring.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "moe/kernels/aligned_buffer.h"
#include "moe/kernels/softmax.h"

namespace ponder::moe {
namespace {

constexpr int64_t kChunk = 128;  // tokens of a forward pass: bounds the logits

absl::Status Check(const ModelConfig& config, absl::Span<const int32_t> ids, bool scalar_head) {
  if (config.scalar_head != scalar_head) {
    return absl::FailedPreconditionError(
        scalar_head ? "the model has no scalar head to score with; give a value or reward model"
                    : "a value or reward model knows no log-probs; use the policy's folder");
  }
  if (ids.empty()) return absl::InvalidArgumentError("there are no ids");
  if (static_cast<int64_t>(ids.size()) > config.max_position_embeddings) {
    return absl::InvalidArgumentError(
        absl::StrCat(ids.size(), " ids, the model takes ", config.max_position_embeddings));
  }
  for (int32_t id : ids) {
    if (id < 0 || id >= config.vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("id ", id, " is outside the vocabulary of ", config.vocab_size));
    }
  }
  return absl::OkStatus();
}

// Keys and values of one sequence.
class Pages {
 public:
  Pages(const ModelConfig& config, int64_t tokens) {
    const int64_t floats =
        kernels::KvPageFloats(config.attention_shape(), config.num_hidden_layers);
    for (int64_t at = 0; at < tokens; at += kernels::kKvBlock) {
      memory_.emplace_back(floats);
      pages_.push_back(memory_.back().data());
    }
  }
  // Of the tokens [begin, end).
  std::vector<kernels::AttentionRow> Rows(int64_t begin, int64_t end) {
    std::vector<kernels::AttentionRow> rows;
    for (int64_t i = begin; i < end; ++i) rows.push_back({pages_.data(), i + 1});
    return rows;
  }

 private:
  std::vector<kernels::AlignedBuffer> memory_;
  std::vector<float*> pages_;
};

}  // namespace

absl::StatusOr<float> ScoreSequence(Inference& inference, absl::Span<const int32_t> ids) {
  const ModelConfig& config = inference.config();
  if (absl::Status status = Check(config, ids, /*scalar_head=*/true); !status.ok()) return status;
  const int64_t t = static_cast<int64_t>(ids.size());
  Pages pages(config, t);
  for (int64_t begin = 0; begin < t; begin += kChunk) {
    const int64_t end = std::min(t, begin + kChunk);
    std::vector<int32_t> last;
    if (end == t) last.push_back(static_cast<int32_t>(end - begin - 1));
    inference.Forward(ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                      pages.Rows(begin, end), last);
  }
  return inference.logits(0)[0];
}

absl::StatusOr<TokenScores> ScoreTokens(Inference& inference, absl::Span<const int32_t> ids,
                                        bool routing) {
  const ModelConfig& config = inference.config();
  if (absl::Status status = Check(config, ids, /*scalar_head=*/false); !status.ok()) return status;
  const int64_t t = static_cast<int64_t>(ids.size());
  Pages pages(config, t);
  inference.RecordRouting(routing);
  TokenScores scores;
  if (routing) scores.routing.resize(static_cast<size_t>(config.num_hidden_layers));
  for (int64_t begin = 0; begin < t; begin += kChunk) {
    const int64_t end = std::min(t, begin + kChunk);
    std::vector<int32_t> logit_rows;
    for (int64_t i = begin; i < end && i + 1 < t; ++i)
      logit_rows.push_back(static_cast<int32_t>(i - begin));
    inference.Forward(ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                      pages.Rows(begin, end), logit_rows);
    for (int64_t row : logit_rows) {
      const float* logits = inference.logits(row);
      const kernels::SoftmaxRow softmax = kernels::SoftmaxOf(logits, config.vocab_size, 1);
      scores.logprobs.push_back(
          kernels::LogProb(logits, 1, softmax.log_z, ids[static_cast<size_t>(begin + row + 1)]));
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

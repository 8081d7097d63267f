#include "learner/policy_batch.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/status.h"

namespace ponder::learner {

int64_t PolicyBatch::response_tokens() const {
  return starts.back() - std::accumulate(prompt_lengths.begin(), prompt_lengths.end(), int64_t{0});
}

void PolicyBatch::Append(absl::Span<const int32_t> prompt, absl::Span<const int32_t> response) {
  tokens.insert(tokens.end(), prompt.begin(), prompt.end());
  tokens.insert(tokens.end(), response.begin(), response.end());
  starts.push_back(static_cast<int64_t>(tokens.size()));
  prompt_lengths.push_back(static_cast<int64_t>(prompt.size()));
  behaviour_logprobs.resize(tokens.size(), 0.f);
  versions.resize(tokens.size(), -1);
  advantages.push_back(0);
}

void PolicyBatch::Append(const Rollout& rollout, double advantage) {
  PONDER_CHECK(rollout.logprobs.size() == rollout.tokens.size(), rollout.key.prompt_id);
  Append(rollout.prompt_tokens, rollout.tokens);
  const int64_t first = starts.back() - static_cast<int64_t>(rollout.tokens.size());
  std::copy(rollout.logprobs.begin(), rollout.logprobs.end(), behaviour_logprobs.begin() + first);
  for (const Segment& segment : rollout.segments) {
    std::fill(versions.begin() + first + segment.first_token, versions.end(),
              segment.weight_version);
  }
  advantages.back() = static_cast<float>(advantage);
}

namespace {

template <typename T>
absl::Status BroadcastVector(comm::Group& group, std::vector<T>* values) {
  int64_t size = static_cast<int64_t>(values->size());
  PONDER_RETURN_IF_ERROR(
      group.Broadcast(absl::MakeSpan(reinterpret_cast<uint8_t*>(&size), sizeof(size)), 0));
  values->resize(static_cast<size_t>(size));
  if (size == 0) return absl::OkStatus();
  return group.Broadcast(
      absl::MakeSpan(reinterpret_cast<uint8_t*>(values->data()), values->size() * sizeof(T)), 0);
}

}  // namespace

absl::Status BroadcastBatch(comm::Group& group, PolicyBatch* batch) {
  PONDER_RETURN_IF_ERROR(BroadcastVector(group, &batch->tokens));
  PONDER_RETURN_IF_ERROR(BroadcastVector(group, &batch->starts));
  PONDER_RETURN_IF_ERROR(BroadcastVector(group, &batch->prompt_lengths));
  PONDER_RETURN_IF_ERROR(BroadcastVector(group, &batch->behaviour_logprobs));
  PONDER_RETURN_IF_ERROR(BroadcastVector(group, &batch->versions));
  return BroadcastVector(group, &batch->advantages);
}

std::vector<MicroBatches> SplitBatch(const PolicyBatch& batch, absl::Span<const int64_t> chosen,
                                     int ranks, int64_t max_tokens) {
  std::vector<int64_t> longest_first(chosen.begin(), chosen.end());
  std::stable_sort(longest_first.begin(), longest_first.end(),
                   [&](int64_t a, int64_t b) { return batch.length(a) > batch.length(b); });
  std::vector<std::vector<int64_t>> shares(ranks);
  std::vector<int64_t> load(ranks, 0);
  for (const int64_t s : longest_first) {
    const auto rank = std::min_element(load.begin(), load.end()) - load.begin();
    shares[rank].push_back(s);
    load[rank] += batch.length(s);
  }
  std::vector<MicroBatches> split(ranks);
  size_t most = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    int64_t filled = 0;
    for (const int64_t s : shares[rank]) {
      if (split[rank].empty() || filled + batch.length(s) > max_tokens) {
        split[rank].emplace_back();
        filled = 0;
      }
      split[rank].back().push_back(s);
      filled += batch.length(s);
    }
    most = std::max(most, split[rank].size());
  }
  for (MicroBatches& micro_batches : split) micro_batches.resize(most);
  return split;
}

}  // namespace ponder::learner

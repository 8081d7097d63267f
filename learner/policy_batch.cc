#include "learner/policy_batch.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/status.h"
#include "moe/routing_record.h"

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
  advantages.resize(tokens.size(), 0.f);
  rewards.push_back(0);
  groups.push_back(0);
  correct.push_back(0);
  included.push_back(1);
}

void PolicyBatch::Append(const Rollout& rollout, const Outcome& outcome,
                         absl::Span<const uint16_t> routed) {
  PONDER_CHECK(rollout.logprobs.size() == rollout.tokens.size(), rollout.key.prompt_id);
  Append(rollout.prompt_tokens, rollout.tokens);
  const int64_t first = starts.back() - static_cast<int64_t>(rollout.tokens.size());
  std::copy(rollout.logprobs.begin(), rollout.logprobs.end(), behaviour_logprobs.begin() + first);
  for (const Segment& segment : rollout.segments) {
    std::fill(versions.begin() + first + segment.first_token, versions.end(), segment.kv_version);
  }
  // What the last token was routed to is of no consequence to any that is scored.
  routing.insert(routing.end(), routed.begin(), routed.end());
  routing.resize(tokens.size() * static_cast<size_t>(routing_slots), moe::kUnroutedToken);
  rewards.back() = outcome.reward;
  groups.back() = outcome.group;
  correct.back() = outcome.correct;
  included.back() = outcome.included;
}

SequencePack PackSequences(const PolicyBatch& batch, absl::Span<const int64_t> sequences) {
  SequencePack pack;
  for (const int64_t s : sequences) {
    const int64_t offset = pack.starts.back() - batch.starts[s];
    pack.tokens.insert(pack.tokens.end(), batch.tokens.begin() + batch.starts[s],
                       batch.tokens.begin() + batch.starts[s + 1]);
    pack.starts.push_back(static_cast<int64_t>(pack.tokens.size()));
    const int64_t slots = batch.routing_slots;
    pack.routing.insert(pack.routing.end(), batch.routing.begin() + batch.starts[s] * slots,
                        batch.routing.begin() + batch.starts[s + 1] * slots);
    // The log-prob of token t + 1 comes from row t.
    for (int64_t t = batch.response_start(s); t < batch.starts[s + 1]; ++t) {
      pack.rows.push_back(static_cast<int32_t>(t - 1 + offset));
      pack.targets.push_back(batch.tokens[t]);
      pack.places.push_back(t);
    }
    pack.responses.push_back(static_cast<int64_t>(pack.rows.size()));
  }
  return pack;
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
  PONDER_RETURN_IF_ERROR(BroadcastVector(group, &batch->routing));
  PONDER_RETURN_IF_ERROR(group.Broadcast(
      absl::MakeSpan(reinterpret_cast<uint8_t*>(&batch->routing_slots), sizeof(int64_t)), 0));
  PONDER_RETURN_IF_ERROR(BroadcastVector(group, &batch->rewards));
  PONDER_RETURN_IF_ERROR(BroadcastVector(group, &batch->groups));
  PONDER_RETURN_IF_ERROR(BroadcastVector(group, &batch->correct));
  PONDER_RETURN_IF_ERROR(BroadcastVector(group, &batch->included));
  return BroadcastVector(group, &batch->advantages);
}

std::vector<MicroBatches> SplitLoads(absl::Span<const int64_t> loads, int ranks,
                                     int64_t max_tokens) {
  std::vector<int64_t> longest_first(loads.size());
  std::iota(longest_first.begin(), longest_first.end(), int64_t{0});
  std::stable_sort(longest_first.begin(), longest_first.end(),
                   [&](int64_t a, int64_t b) { return loads[a] > loads[b]; });
  std::vector<std::vector<int64_t>> shares(ranks);
  std::vector<int64_t> filled_rank(ranks, 0);
  for (const int64_t i : longest_first) {
    const auto rank =
        std::min_element(filled_rank.begin(), filled_rank.end()) - filled_rank.begin();
    shares[rank].push_back(i);
    filled_rank[rank] += loads[i];
  }
  std::vector<MicroBatches> split(ranks);
  size_t most = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    int64_t filled = 0;
    for (const int64_t i : shares[rank]) {
      if (split[rank].empty() || filled + loads[i] > max_tokens) {
        split[rank].emplace_back();
        filled = 0;
      }
      split[rank].back().push_back(i);
      filled += loads[i];
    }
    most = std::max(most, split[rank].size());
  }
  for (MicroBatches& micro_batches : split) micro_batches.resize(most);
  return split;
}

std::vector<MicroBatches> SplitBatch(const PolicyBatch& batch, absl::Span<const int64_t> chosen,
                                     int ranks, int64_t max_tokens) {
  std::vector<int64_t> lengths;
  for (const int64_t s : chosen) lengths.push_back(batch.length(s));
  std::vector<MicroBatches> split = SplitLoads(lengths, ranks, max_tokens);
  for (MicroBatches& micro_batches : split) {
    for (std::vector<int64_t>& sequences : micro_batches) {
      for (int64_t& s : sequences) s = chosen[s];
    }
  }
  return split;
}

}  // namespace ponder::learner

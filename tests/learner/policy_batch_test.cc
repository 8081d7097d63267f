// Packing, splitting and broadcasting of batches.
#include "learner/policy_batch.h"

#include <algorithm>
#include <numeric>
#include <thread>
#include <vector>

#include "base/philox.h"
#include "gtest/gtest.h"
#include "moe/routing_record.h"

namespace ponder::learner {
namespace policy_batch_test {

Rollout MakeRollout(int64_t prompt_tokens, int64_t tokens) {
  Rollout rollout;
  rollout.prompt_tokens.assign(prompt_tokens, 7);
  for (int64_t t = 0; t < tokens; ++t) {
    rollout.tokens.push_back(static_cast<int32_t>(t));
    rollout.logprobs.push_back(-0.5f * static_cast<float>(t));
  }
  rollout.segments = {{3, 0}, {4, tokens / 2}};
  return rollout;
}

TEST(PolicyBatch, AlignsBehaviourWithTokens) {
  PolicyBatch batch;
  batch.Append(MakeRollout(2, 4), {1.5, 7, true});
  batch.Append(MakeRollout(3, 2), {-1, 8, false, false});
  EXPECT_EQ(batch.sequences(), 2);
  EXPECT_EQ(batch.tokens, (std::vector<int32_t>{7, 7, 0, 1, 2, 3, 7, 7, 7, 0, 1}));
  EXPECT_EQ(batch.versions, (std::vector<int64_t>{-1, -1, 3, 3, 4, 4, -1, -1, -1, 3, 4}));
  EXPECT_EQ(batch.behaviour_logprobs,
            (std::vector<float>{0, 0, 0, -0.5, -1, -1.5, 0, 0, 0, 0, -0.5}));
  EXPECT_EQ(batch.response_tokens(), 6);
  EXPECT_EQ(batch.response_length(1), 2);
  EXPECT_EQ(batch.response_start(1), 9);
  EXPECT_EQ(batch.rewards, (std::vector<double>{1.5, -1}));
  EXPECT_EQ(batch.groups, (std::vector<int64_t>{7, 8}));
  EXPECT_EQ(batch.correct, (std::vector<uint8_t>{1, 0}));
  EXPECT_EQ(batch.included, (std::vector<uint8_t>{1, 0}));
}

TEST(PackSequences, ScoresEachResponseTokenFromTheRowBefore) {
  PolicyBatch batch;
  batch.Append(MakeRollout(2, 4), {});
  batch.Append(MakeRollout(3, 2), {});
  batch.Append(MakeRollout(1, 1), {});
  const SequencePack pack = PackSequences(batch, std::vector<int64_t>{1, 2, 0});
  EXPECT_EQ(pack.tokens, (std::vector<int32_t>{7, 7, 7, 0, 1, 7, 0, 7, 7, 0, 1, 2, 3}));
  EXPECT_EQ(pack.starts, (std::vector<int64_t>{0, 5, 7, 13}));
  EXPECT_EQ(pack.rows, (std::vector<int32_t>{2, 3, 5, 8, 9, 10, 11}));
  EXPECT_EQ(pack.targets, (std::vector<int32_t>{0, 1, 0, 0, 1, 2, 3}));
  EXPECT_EQ(pack.places, (std::vector<int64_t>{9, 10, 12, 2, 3, 4, 5}));
  EXPECT_EQ(pack.responses, (std::vector<int64_t>{0, 2, 3, 7}));
}

TEST(PolicyBatch, TokensSampledOnKeptKeysAreNotOfTheNewVersion) {
  Rollout rollout = MakeRollout(1, 4);
  rollout.segments = {{3, 0}, {4, 1, /*kv_version=*/3}, {4, 3}};
  PolicyBatch batch;
  batch.Append(rollout, {});
  EXPECT_EQ(batch.versions, (std::vector<int64_t>{-1, 3, 3, 3, 4}));
}

TEST(SplitBatch, EverySequenceOnceWithinTheBudget) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed, "split");
    PolicyBatch batch;
    for (int i = 0; i < 50; ++i)
      batch.Append(MakeRollout(rng.NextInt(1, 20), rng.NextInt(1, 60)), {});
    std::vector<int64_t> chosen;
    for (int64_t s = 0; s < 50; s += 1 + static_cast<int64_t>(seed % 2)) chosen.push_back(s);
    for (const int ranks : {1, 2, 4}) {
      const auto split = SplitBatch(batch, chosen, ranks, 128);
      ASSERT_EQ(split.size(), static_cast<size_t>(ranks));
      std::vector<int64_t> seen, load;
      for (const MicroBatches& micro_batches : split) {
        EXPECT_EQ(micro_batches.size(), split[0].size()) << "collectives would not match";
        load.push_back(0);
        for (const auto& sequences : micro_batches) {
          int64_t tokens = 0;
          for (const int64_t s : sequences) {
            seen.push_back(s);
            tokens += batch.length(s);
          }
          EXPECT_LE(tokens, 128);
          load.back() += tokens;
        }
      }
      std::sort(seen.begin(), seen.end());
      EXPECT_EQ(seen, chosen);
      EXPECT_LE(
          *std::max_element(load.begin(), load.end()) - *std::min_element(load.begin(), load.end()),
          80)
          << "greedy longest-first leaves at most the longest sequence between two ranks";
    }
  }
}

TEST(SplitBatch, ALongSequenceGetsItsOwnMicrobatch) {
  PolicyBatch batch;
  batch.Append(MakeRollout(10, 500), {});
  batch.Append(MakeRollout(10, 10), {});
  const std::vector<int64_t> all = {0, 1};
  const auto split = SplitBatch(batch, all, 1, 64);
  EXPECT_EQ(split[0], (MicroBatches{{0}, {1}}));
}

TEST(BroadcastBatch, EverybodyGetsRankZeros) {
  auto groups = comm::MakeThreadGroup(3);
  std::vector<PolicyBatch> batches(3);
  batches[0].Append(MakeRollout(2, 4), {1.5, 3, true});
  batches[1].Append(MakeRollout(5, 9), {2});  // to be replaced
  std::vector<absl::Status> statuses(3);
  std::vector<std::thread> threads;
  for (int r = 0; r < 3; ++r) {
    threads.emplace_back([&, r] { statuses[r] = BroadcastBatch(*groups[r], &batches[r]); });
  }
  for (auto& thread : threads) thread.join();
  for (int r = 0; r < 3; ++r) {
    ASSERT_TRUE(statuses[r].ok()) << statuses[r];
    EXPECT_EQ(batches[r].tokens, batches[0].tokens);
    EXPECT_EQ(batches[r].rewards, std::vector<double>{1.5});
    EXPECT_EQ(batches[r].groups, std::vector<int64_t>{3});
    EXPECT_EQ(batches[r].correct, std::vector<uint8_t>{1});
    EXPECT_EQ(batches[r].included, std::vector<uint8_t>{1});
    EXPECT_EQ(batches[r].advantages.size(), batches[0].tokens.size());
    EXPECT_EQ(batches[r].versions, batches[0].versions);
    EXPECT_EQ(batches[r].starts, batches[0].starts);
  }
}

TEST(PolicyBatch, RoutingStaysWithItsTokens) {
  PolicyBatch batch;
  batch.routing_slots = 2;
  for (int32_t s = 0; s < 3; ++s) {
    Rollout rollout;
    rollout.prompt_tokens = {s};
    rollout.tokens = {s, s};
    rollout.logprobs = {-1, -1};
    rollout.segments = {{0, 0}};
    const auto n = static_cast<uint16_t>(10 * s);
    const std::vector<uint16_t> routing = {n, static_cast<uint16_t>(n + 1), 3, 4};
    batch.Append(rollout, {}, routing);
  }
  const uint16_t none = moe::kUnroutedToken;
  const SequencePack pack = PackSequences(batch, {2, 0});
  EXPECT_EQ(pack.routing,
            (std::vector<uint16_t>{20, 21, 3, 4, none, none, 0, 1, 3, 4, none, none}));
}

}  // namespace policy_batch_test
}  // namespace ponder::learner

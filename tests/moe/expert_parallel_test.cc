// Experts sharded over ranks that are threads: the same bits forward, the same gradients, whatever
// the ranks bring.
#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "comm/group.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "moe/decoder.h"
#include "tests/moe/decoder_cases.h"

namespace ponder::moe {
namespace expert_parallel_test {

constexpr uint64_t kSeed = 20240608;

// What one rank saw.
struct Outcome {
  std::vector<at::Tensor> logprobs;             // of each batch
  std::map<std::string, at::Tensor> gradients;  // this rank's
  std::map<std::string, bool> is_expert;
  std::shared_ptr<const Weights> exported;
  RouterStats stats;
};

// One step over `batches`, a micro-batch each, on one rank.
Outcome Step(const ModelConfig& config, const std::vector<PackedBatch>& batches,
             const std::vector<Targets>& targets, comm::Group* group) {
  Outcome outcome;
  auto decoder = Decoder::Make(config, *RandomWeights(config, kSeed), {}, group);
  EXPECT_TRUE(decoder.ok()) << decoder.status();
  for (size_t i = 0; i < batches.size(); ++i) {
    auto stats = (*decoder)->Forward(batches[i], targets[i].rows, targets[i].targets, 1);
    EXPECT_TRUE(stats.ok()) << stats.status();
    const at::Tensor coefficients = at::tensor(targets[i].coefficients, at::kFloat);
    const absl::Status backward = (*decoder)->Backward((stats->logprob * coefficients).sum());
    EXPECT_TRUE(backward.ok()) << backward;
    outcome.logprobs.push_back(stats->logprob.detach());
  }
  for (const Parameter& parameter : (*decoder)->parameters()) {
    outcome.gradients[parameter.name] = parameter.tensor.grad().clone();
    outcome.is_expert[parameter.name] = parameter.expert;
  }
  outcome.exported = (*decoder)->Export(3).value();
  outcome.stats = (*decoder)->TakeRouterStats();
  return outcome;
}

class ExpertParallel : public ::testing::TestWithParam<DecoderCase> {
 protected:
  // `batches[r]` on rank r, against all of them one after another on one rank.
  void Compare(const std::vector<PackedBatch>& batches) {
    const ModelConfig& config = GetParam().config;
    const int ranks = static_cast<int>(batches.size());
    std::vector<Targets> targets;
    for (int r = 0; r < ranks; ++r) targets.push_back(RandomTargets(config, batches[r], kSeed + r));
    const Outcome one = Step(config, batches, targets, nullptr);

    auto groups = comm::MakeThreadGroup(ranks);
    std::vector<Outcome> sharded(ranks);
    std::vector<std::thread> threads;
    for (int r = 0; r < ranks; ++r) {
      threads.emplace_back(
          [&, r] { sharded[r] = Step(config, {batches[r]}, {targets[r]}, groups[r].get()); });
    }
    for (std::thread& thread : threads) thread.join();

    std::map<std::string, at::Tensor> sums;
    for (int r = 0; r < ranks; ++r) {
      const at::Tensor expected = one.logprobs[r];
      const at::Tensor actual = sharded[r].logprobs[0];
      ASSERT_EQ(actual.sizes(), expected.sizes());
      const size_t bytes = actual.numel() * sizeof(float);
      EXPECT_TRUE(bytes == 0 ||
                  std::memcmp(actual.data_ptr<float>(), expected.data_ptr<float>(), bytes) == 0)
          << "rank " << r << " of " << ranks << ": forward bits differ";
      EXPECT_EQ(*sharded[r].exported->blob(), *one.exported->blob());
      for (const auto& [name, gradient] : sharded[r].gradients) {
        const bool first = sums.count(name) == 0;
        EXPECT_TRUE(first || !sharded[r].is_expert.at(name)) << name << " has two owners";
        sums[name] = first ? gradient : sums[name] + gradient;
      }
    }
    ASSERT_EQ(sums.size(), one.gradients.size());
    for (const auto& [name, gradient] : sums) {
      const at::Tensor& expected = one.gradients.at(name);
      EXPECT_LE((gradient - expected).abs().max().item<double>(),
                1e-5 * expected.abs().max().item<double>())
          << name;
    }
    for (size_t layer = 0; layer < one.stats.expert_tokens.size(); ++layer) {
      for (size_t e = 0; e < one.stats.expert_tokens[layer].size(); ++e) {
        int64_t sum = 0;
        for (const Outcome& outcome : sharded) sum += outcome.stats.expert_tokens[layer][e];
        EXPECT_EQ(sum, one.stats.expert_tokens[layer][e]);
      }
    }
  }
};

TEST_P(ExpertParallel, TwoRanksAgreeWithOne) {
  const ModelConfig& config = GetParam().config;
  Compare({RandomBatch(config, {20, 3, 41}, kSeed), RandomBatch(config, {33, 7}, kSeed + 1)});
}

TEST_P(ExpertParallel, FourRanksAgreeWithOne) {
  const ModelConfig& config = GetParam().config;
  Compare({RandomBatch(config, {20}, kSeed), RandomBatch(config, {3}, kSeed + 1),
           RandomBatch(config, {1, 1}, kSeed + 2), RandomBatch(config, {9}, kSeed + 3)});
}

TEST_P(ExpertParallel, ARankWithoutTokensTakesPart) {
  const ModelConfig& config = GetParam().config;
  Compare({PackedBatch{}, RandomBatch(config, {33, 7}, kSeed)});
  Compare({RandomBatch(config, {1}, kSeed), PackedBatch{}});
}

TEST_P(ExpertParallel, NobodyHasTokens) { Compare({PackedBatch{}, PackedBatch{}}); }

std::vector<DecoderCase> MoeCases() {
  std::vector<DecoderCase> cases;
  for (DecoderCase& one : DecoderCases()) {
    if (one.name == "SoftmaxTop2" || one.name == "DenseFirstLayer" || one.name == "SharedExpert") {
      cases.push_back(one);
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Variants, ExpertParallel, ::testing::ValuesIn(MoeCases()),
                         [](const auto& info) { return info.param.name; });

TEST(ExpertParallelErrors, ExpertsMustSplitEvenly) {
  const ModelConfig config = SmallConfig();
  auto groups = comm::MakeThreadGroup(3);
  const auto decoder = Decoder::Make(config, *RandomWeights(config, kSeed), {}, groups[1].get());
  EXPECT_EQ(decoder.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(decoder.status().message()),
              ::testing::HasSubstr("4 experts can't be split"));
}

// Passes everything on to another group until `calls` operations have been made, then fails.
class FailingGroup : public comm::Group {
 public:
  FailingGroup(comm::Group& group, int calls) : group_(group), calls_left_(calls) {}
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  absl::Status Barrier() override { return Count(); }
  absl::Status Broadcast(absl::Span<uint8_t>, int) override { return Count(); }
  absl::Status AllReduceSum(absl::Span<float>) override { return Count(); }
  absl::Status AllReduceSum(absl::Span<double>) override { return Count(); }
  absl::Status AllGather(absl::Span<const uint8_t> in, absl::Span<uint8_t> out) override {
    const absl::Status status = Count();
    return status.ok() ? group_.AllGather(in, out) : status;
  }
  absl::Status AllToAll(absl::Span<const float> in, absl::Span<const int64_t> send,
                        absl::Span<float> out, absl::Span<const int64_t> receive) override {
    const absl::Status status = Count();
    return status.ok() ? group_.AllToAll(in, send, out, receive) : status;
  }
  absl::StatusOr<std::unique_ptr<comm::Group>> Split(int) override { return Count(); }

 private:
  absl::Status Count() {
    return calls_left_-- > 0 ? absl::OkStatus() : absl::UnavailableError("peer 1 died");
  }
  comm::Group& group_;
  int calls_left_;
};

// Plays the part of both ranks: what would arrive from the other is zero.
class EchoGroup : public comm::Group {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  absl::Status Barrier() override { return absl::OkStatus(); }
  absl::Status Broadcast(absl::Span<uint8_t>, int) override { return absl::OkStatus(); }
  absl::Status AllReduceSum(absl::Span<float>) override { return absl::OkStatus(); }
  absl::Status AllReduceSum(absl::Span<double>) override { return absl::OkStatus(); }
  absl::Status AllGather(absl::Span<const uint8_t> in, absl::Span<uint8_t> out) override {
    std::memset(out.data(), 0, out.size());
    std::memcpy(out.data(), in.data(), in.size());
    return absl::OkStatus();
  }
  absl::Status AllToAll(absl::Span<const float>, absl::Span<const int64_t>, absl::Span<float> out,
                        absl::Span<const int64_t>) override {
    std::fill(out.begin(), out.end(), 0.0f);
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<comm::Group>> Split(int) override {
    return absl::UnimplementedError("a group of one thread");
  }
};

TEST(ExpertParallelErrors, AFailingCollectiveIsAStatusInForwardAndBackward) {
  const ModelConfig config = SmallConfig();
  const PackedBatch batch = RandomBatch(config, {5}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  const int forward_calls = 3 * config.num_hidden_layers;
  for (int calls : {0, 1, forward_calls - 1, forward_calls, forward_calls + 1}) {
    EchoGroup echo;
    FailingGroup group(echo, calls);
    auto decoder = Decoder::Make(config, *RandomWeights(config, kSeed), {}, &group);
    ASSERT_TRUE(decoder.ok()) << decoder.status();
    auto stats = (*decoder)->Forward(batch, targets.rows, targets.targets, 1);
    ASSERT_EQ(stats.ok(), calls >= forward_calls) << calls;
    const absl::Status failure =
        stats.ok() ? (*decoder)->Backward(stats->logprob.sum()) : stats.status();
    EXPECT_EQ(failure.code(), absl::StatusCode::kUnavailable) << failure;
    EXPECT_THAT(std::string(failure.message()), ::testing::HasSubstr("peer 1 died"));
  }
}

}  // namespace expert_parallel_test
}  // namespace ponder::moe

// Checkpoints of every family against what the original modelling code computes from them
// (tests/data/hf, see tests/data/README.md), and their round trip.
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "moe/checkpoint.h"
#include "moe/scoring.h"
#include "nlohmann/json.hpp"

namespace ponder::moe {
namespace {

using Json = nlohmann::json;

std::string Folder(const std::string& name) {
  return std::string(PONDER_SOURCE_DIR) + "/tests/data/hf/" + name;
}

class Golden : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::ifstream file(Folder(GetParam()) + "/golden.json");
    golden_ = Json::parse(file);
    const auto model = LoadModel(Folder(GetParam()));
    ASSERT_TRUE(model.ok()) << model.status();
    auto packed = PackModel(pool_, *model);
    ASSERT_TRUE(packed.ok()) << packed.status();
    inference_ = std::make_unique<Inference>(pool_, *std::move(packed));
  }
  TokenScores Score(const std::vector<int32_t>& ids, bool routing) {
    auto scores = ScoreTokens(*inference_, ids, routing);
    EXPECT_TRUE(scores.ok()) << scores.status();
    return *std::move(scores);
  }

  // The noise of correct float32 implementations is below 8e-5.
  static constexpr double kTolerance = 2e-4;
  kernels::ThreadPool pool_{1};
  std::unique_ptr<Inference> inference_;
  Json golden_;
};

TEST_P(Golden, LogprobsOfPrompts) {
  for (size_t s = 0; s < golden_["input_ids"].size(); ++s) {
    const auto scores = Score(golden_["input_ids"][s].get<std::vector<int32_t>>(), false);
    const auto expected = golden_["logprobs_of_next"][s].get<std::vector<double>>();
    ASSERT_EQ(scores.logprobs.size(), expected.size());
    for (size_t t = 0; t < expected.size(); ++t) {
      EXPECT_NEAR(scores.logprobs[t], expected[t], kTolerance) << "prompt " << s << ", token " << t;
    }
  }
}

TEST_P(Golden, ChoicesOfRouters) {
  for (size_t s = 0; s < golden_["input_ids"].size(); ++s) {
    const auto scores = Score(golden_["input_ids"][s].get<std::vector<int32_t>>(), true);
    const Json& expected = golden_["router_topk"][s];
    const Json& weights = golden_["router_topk_weights"][s];
    ASSERT_EQ(scores.routing.size(), expected.size());
    for (size_t layer = 0; layer < expected.size(); ++layer) {
      const Inference::Routing& routing = scores.routing[layer];
      if (expected[layer].is_null()) {
        EXPECT_TRUE(routing.experts.empty());
        continue;
      }
      size_t at = 0;
      for (size_t t = 0; t < expected[layer].size(); ++t) {
        std::map<int32_t, float> chosen;
        for (size_t k = 0; k < expected[layer][t].size(); ++k, ++at)
          chosen[routing.experts.at(at)] = routing.weights.at(at);
        size_t k = 0;
        for (const auto& [expert, weight] : chosen) {
          EXPECT_EQ(expert, expected[layer][t][k]) << "layer " << layer << ", token " << t;
          EXPECT_NEAR(weight, weights[layer][t][k].get<double>(), kTolerance);
          ++k;
        }
      }
    }
  }
}

// The continuation scored in one pass, and each of its tokens the likeliest of all.
TEST_P(Golden, GreedyContinuations) {
  for (size_t s = 0; s < golden_["input_ids"].size(); ++s) {
    auto ids = golden_["input_ids"][s].get<std::vector<int32_t>>();
    const auto continuation = golden_["greedy_continuation"][s].get<std::vector<int32_t>>();
    const auto logprobs = golden_["greedy_logprobs"][s].get<std::vector<double>>();
    const size_t prompt = ids.size();
    ids.insert(ids.end(), continuation.begin(), continuation.end());
    const auto scores = Score(ids, false);
    for (size_t i = 0; i < continuation.size(); ++i) {
      EXPECT_NEAR(scores.logprobs[prompt - 1 + i], logprobs[i], kTolerance);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Golden,
                         ::testing::Values("deepseek_v2", "deepseek_v3", "deepseek_v3_mtp",
                                           "deepseek_v3_nointerleave", "llama",
                                           "llama_linear_legacy", "mixtral", "olmoe", "qwen2_moe",
                                           "qwen3_moe"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace ponder::moe

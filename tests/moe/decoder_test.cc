// The trainable decoder against plain LibTorch and finite differences, and what must not change a
// bit.
#include "moe/decoder.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/philox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "moe/inference.h"
#include "moe/routing_record.h"
#include "moe/scoring.h"
#include "tests/moe/decoder_cases.h"
#include "tests/moe/plain_decoder.h"

namespace ponder::moe {
namespace decoder_test {

using ::testing::HasSubstr;

constexpr uint64_t kSeed = 20240607;

std::unique_ptr<Decoder> MakeDecoder(const ModelConfig& config, int threads = 1) {
  Decoder::Options options;
  options.threads = threads;
  auto decoder = Decoder::Make(config, *RandomWeights(config, kSeed), options);
  EXPECT_TRUE(decoder.ok()) << decoder.status();
  return *std::move(decoder);
}

at::Tensor Row(const std::vector<float>& values) { return at::tensor(values, at::kFloat); }

// Forward, then backward of sum(coefficient * logprob): adds to the gradients.
TokenStats Step(Decoder& decoder, const PackedBatch& batch, const Targets& targets,
                float temperature = 1) {
  auto stats = decoder.Forward(batch, targets.rows, targets.targets, temperature);
  EXPECT_TRUE(stats.ok()) << stats.status();
  const absl::Status backward =
      decoder.Backward((stats->logprob * Row(targets.coefficients)).sum());
  EXPECT_TRUE(backward.ok()) << backward;
  return *std::move(stats);
}

std::map<std::string, at::Tensor> Gradients(const Decoder& decoder) {
  std::map<std::string, at::Tensor> gradients;
  for (const Parameter& parameter : decoder.parameters())
    gradients[parameter.name] = parameter.tensor.grad().clone();
  return gradients;
}

bool SameBits(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() &&
         std::memcmp(a.data_ptr<float>(), b.data_ptr<float>(), a.numel() * 4) == 0;
}

// max |a - b| / max |b|
double RelativeError(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor reference = b.to(at::kDouble);
  const double scale = reference.abs().max().item<double>();
  return (a.to(at::kDouble) - reference).abs().max().item<double>() / std::max(scale, 1e-30);
}

class AgainstPlain : public ::testing::TestWithParam<DecoderCase> {};

void ExpectGradients(const Decoder& decoder, const PlainDecoder& plain) {
  for (const auto& [name, gradient] : Gradients(decoder)) {
    const at::Tensor& expected = plain.parameters().at(name).grad();
    if (!expected.defined()) {  // of what only takes part in a choice
      EXPECT_EQ(gradient.abs().max().item<float>(), 0) << name;
      continue;
    }
    EXPECT_LT(RelativeError(gradient, expected), 1e-4) << name;
  }
}

TEST_P(AgainstPlain, LogprobsAndGradients) {
  const ModelConfig& config = GetParam().config;
  const PackedBatch batch = RandomBatch(config, {5, 1, 70, 0, 12}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  const float temperature = 0.7f;
  auto decoder = MakeDecoder(config, /*threads=*/2);
  const TokenStats stats = Step(*decoder, batch, targets, temperature);

  const PlainDecoder plain(config, *RandomWeights(config, kSeed));
  const at::Tensor rows =
      at::tensor(std::vector<int64_t>(targets.rows.begin(), targets.rows.end()));
  const at::Tensor picks =
      at::tensor(std::vector<int64_t>(targets.targets.begin(), targets.targets.end()));
  const at::Tensor logits = plain.Forward(batch).index_select(0, rows) / temperature;
  const at::Tensor all = logits.log_softmax(-1);
  const at::Tensor logprob = all.gather(1, picks.unsqueeze(1)).squeeze(1);
  (logprob * Row(targets.coefficients)).sum().backward();

  EXPECT_LT((stats.logprob - logprob).abs().max().item<double>(), 1e-5);
  EXPECT_LT(RelativeError(stats.entropy, -(all * all.exp()).sum(-1)), 1e-5);
  EXPECT_LT((stats.log_z - logits.logsumexp(-1)).abs().max().item<double>(), 1e-5);
  ASSERT_EQ(decoder->parameters().size(), plain.parameters().size());
  ExpectGradients(*decoder, plain);
}

// Random experts for three tokens of four, whatever their routers say.
TEST_P(AgainstPlain, GivenExpertsAreUsedWithWeightsOfTheLiveScores) {
  const ModelConfig& config = GetParam().config;
  const RoutingShape shape = RoutingShape::Of(config);
  if (shape.layers.empty()) return;
  PackedBatch batch = RandomBatch(config, {5, 1, 40, 12}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  const PlainDecoder fixed(config, *RandomWeights(config, kSeed));
  PlainDecoder plain = fixed;
  Rng rng(kSeed, "given experts");
  std::vector<at::Tensor> forced;
  batch.routing.assign(batch.tokens.size() * shape.token_slots(), kUnroutedToken);
  for (size_t s = 0; s + 1 < batch.starts.size(); ++s) {
    for (size_t layer = 0; layer < shape.layers.size(); ++layer) {
      forced.push_back(
          at::full({batch.starts[s + 1] - batch.starts[s], shape.slots}, int64_t{-1}, at::kLong));
    }
    for (int64_t t = batch.starts[s]; t < batch.starts[s + 1]; ++t) {
      if (t % 4 == 3) continue;
      for (size_t layer = 0; layer < shape.layers.size(); ++layer) {
        std::vector<int64_t> experts(shape.experts);
        std::iota(experts.begin(), experts.end(), 0);
        at::Tensor row = forced[forced.size() - shape.layers.size() + layer][t - batch.starts[s]];
        for (int64_t k = 0; k < shape.slots; ++k) {
          std::swap(experts[k], experts[rng.NextInt(k, shape.experts - 1)]);
          row[k] = experts[k];
          batch.routing[t * shape.token_slots() + layer * shape.slots + k] =
              static_cast<uint16_t>(experts[k]);
        }
      }
    }
  }
  plain.Force(forced);
  auto decoder = MakeDecoder(config, /*threads=*/2);
  decoder->TakeRouterStats();
  const TokenStats stats = Step(*decoder, batch, targets);
  const RouterStats router = decoder->TakeRouterStats();
  EXPECT_EQ(router.replayed, static_cast<int64_t>(shape.layers.size()) * 44);
  EXPECT_GT(router.rerouted, router.replayed / 2);

  const at::Tensor rows =
      at::tensor(std::vector<int64_t>(targets.rows.begin(), targets.rows.end()));
  const at::Tensor picks =
      at::tensor(std::vector<int64_t>(targets.targets.begin(), targets.targets.end()));
  const at::Tensor logprob = plain.Forward(batch)
                                 .index_select(0, rows)
                                 .log_softmax(-1)
                                 .gather(1, picks.unsqueeze(1))
                                 .squeeze(1);
  (logprob * Row(targets.coefficients)).sum().backward();
  EXPECT_LT((stats.logprob - logprob).abs().max().item<double>(), 1e-5);
  ExpectGradients(*decoder, plain);
}

// What the inference recorded, given back under the same weights.
TEST_P(AgainstPlain, ReplayOfItsOwnChoicesChangesNoBit) {
  const ModelConfig& config = GetParam().config;
  const RoutingShape shape = RoutingShape::Of(config);
  PackedBatch batch = RandomBatch(config, {5, 1, 70, 12}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  auto live = MakeDecoder(config), replayed = MakeDecoder(config);
  const TokenStats without = Step(*live, batch, targets);

  kernels::ThreadPool pool(1);
  const auto packed = PackModel(pool, {config, RandomWeights(config, kSeed)});
  ASSERT_TRUE(packed.ok()) << packed.status();
  Inference inference(pool, *packed);
  for (size_t s = 0; s + 1 < batch.starts.size(); ++s) {
    const absl::Span<const int32_t> tokens(batch.tokens.data() + batch.starts[s],
                                           batch.starts[s + 1] - batch.starts[s]);
    const auto scores = ScoreTokens(inference, tokens, /*routing=*/true);
    ASSERT_TRUE(scores.ok()) << scores.status();
    for (size_t t = 0; t < tokens.size(); ++t) {
      for (const int64_t layer : shape.layers) {
        const auto experts = scores->routing[layer].experts.begin() + t * shape.slots;
        batch.routing.insert(batch.routing.end(), experts, experts + shape.slots);
      }
    }
  }
  replayed->TakeRouterStats();
  const TokenStats with = Step(*replayed, batch, targets);
  const RouterStats router = replayed->TakeRouterStats();
  EXPECT_EQ(router.replayed, static_cast<int64_t>(shape.layers.size() * batch.tokens.size()));
  EXPECT_EQ(router.rerouted, 0);
  EXPECT_TRUE(SameBits(with.logprob, without.logprob));
  EXPECT_TRUE(SameBits(with.entropy, without.entropy));
  const auto expected = Gradients(*live);
  for (const auto& [name, gradient] : Gradients(*replayed))
    EXPECT_TRUE(SameBits(gradient, expected.at(name))) << name;
}

// A loss of all that Forward gives: log-probs, entropies and log Z.
TEST_P(AgainstPlain, GradientThroughEntropyAndLogZ) {
  const ModelConfig config = GetParam().config;
  const PackedBatch batch = RandomBatch(config, {5, 1, 7}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  const float temperature = 0.7f;
  auto decoder = MakeDecoder(config);
  const at::Tensor c = Row(targets.coefficients);
  const auto stats = decoder->Forward(batch, targets.rows, targets.targets, temperature);
  ASSERT_TRUE(stats.ok()) << stats.status();
  const at::Tensor loss =
      (c * stats->logprob + c.square() * stats->entropy + 0.1 * stats->log_z.square()).sum();
  ASSERT_TRUE(decoder->Backward(loss).ok());

  const PlainDecoder plain(config, *RandomWeights(config, kSeed));
  const at::Tensor logits =
      plain.Forward(batch).index_select(
          0, at::tensor(std::vector<int64_t>(targets.rows.begin(), targets.rows.end()))) /
      temperature;
  const at::Tensor picks =
      at::tensor(std::vector<int64_t>(targets.targets.begin(), targets.targets.end()));
  const at::Tensor all = logits.log_softmax(-1);
  (c * all.gather(1, picks.unsqueeze(1)).squeeze(1) - c.square() * (all * all.exp()).sum(-1) +
   0.1 * logits.logsumexp(-1).square())
      .sum()
      .backward();
  ExpectGradients(*decoder, plain);
}

TEST_P(AgainstPlain, ScalarHead) {
  ModelConfig config = GetParam().config;
  config.scalar_head = true;
  const PackedBatch batch = RandomBatch(config, {5, 1, 7}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  auto decoder = MakeDecoder(config);
  const auto values = decoder->ForwardValues(batch, targets.rows);
  ASSERT_TRUE(values.ok()) << values.status();
  ASSERT_TRUE(decoder->Backward((*values * Row(targets.coefficients)).sum()).ok());

  const PlainDecoder plain(config, *RandomWeights(config, kSeed));
  const at::Tensor expected = plain.Forward(batch).squeeze(1).index_select(
      0, at::tensor(std::vector<int64_t>(targets.rows.begin(), targets.rows.end())));
  (expected * Row(targets.coefficients)).sum().backward();
  EXPECT_LT(RelativeError(*values, expected), 1e-5);
  ExpectGradients(*decoder, plain);
}

// The balance and z losses, from the papers' equations on LibTorch's own graph.
TEST_P(AgainstPlain, RouterLosses) {
  const ModelConfig config = GetParam().config;
  if (config.NumMoeLayers() == 0) GTEST_SKIP() << "no routers";
  const PackedBatch batch = RandomBatch(config, {5, 1, 0, 17}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  constexpr double kBySequence = 0.7, kByBatch = 0.4, kZ = 0.2;
  constexpr double kSequences = 3, kTokens = 23;
  auto decoder = MakeDecoder(config, /*threads=*/2);
  RouterLoss loss{kBySequence / kSequences, 0, {}, kZ / kTokens};
  {
    const at::NoGradGuard no_grad;
    ASSERT_TRUE(decoder->Forward(batch, targets.rows, targets.targets, 1).ok());
    loss.per_token = kByBatch / kTokens;
    loss.load = LoadOf(decoder->TakeRouterStats().expert_tokens);
  }
  decoder->SetRouterLoss(loss);
  Step(*decoder, batch, targets);
  const RouterLossSums sums = decoder->TakeRouterStats().loss;

  const PlainDecoder plain(config, *RandomWeights(config, kSeed));
  const at::Tensor rows =
      at::tensor(std::vector<int64_t>(targets.rows.begin(), targets.rows.end()));
  const at::Tensor picks =
      at::tensor(std::vector<int64_t>(targets.targets.begin(), targets.targets.end()));
  const at::Tensor all = plain.Forward(batch).index_select(0, rows).log_softmax(-1);
  const at::Tensor objective =
      (all.gather(1, picks.unsqueeze(1)).squeeze(1) * Row(targets.coefficients)).sum();
  at::Tensor balance = at::zeros({}, at::kDouble), z = at::zeros({}, at::kDouble);
  const double share = static_cast<double>(config.num_experts) / config.num_experts_per_tok;
  std::map<int64_t, std::vector<at::Tensor>> p_of_layer, hits_of_layer;
  for (const PlainDecoder::Routed& routed : plain.routed()) {
    const at::Tensor p = routed.scores / routed.scores.sum(-1, /*keepdim=*/true);
    const at::Tensor hits = at::zeros_like(p).scatter(1, routed.chosen, 1.0).detach();
    balance = balance + kBySequence / kSequences * share * (hits.mean(0) * p.mean(0)).sum();
    z = z + kZ / kTokens * routed.logits.logsumexp(-1).square().sum();
    p_of_layer[routed.layer].push_back(p);
    hits_of_layer[routed.layer].push_back(hits);
  }
  for (const auto& [layer, p] : p_of_layer) {
    const at::Tensor f = share * at::cat(hits_of_layer[layer]).mean(0);
    balance = balance + kByBatch * (f * at::cat(p).mean(0)).sum();
  }
  (objective + balance + z).backward();
  EXPECT_NEAR(sums.balance, balance.item<double>(), 1e-5 * balance.item<double>());
  EXPECT_NEAR(sums.z, z.item<double>(), 1e-5 * z.item<double>());
  ExpectGradients(*decoder, plain);
}

INSTANTIATE_TEST_SUITE_P(Variants, AgainstPlain, ::testing::ValuesIn(DecoderCases()),
                         [](const auto& info) { return info.param.name; });

// More logits than the head makes at a time, so that it works in chunks.
std::vector<DecoderCase> LargeVocabulary() {
  ModelConfig config = SmallConfig();
  config.vocab_size = 40000;
  config.num_hidden_layers = 1;
  return {{"LargeVocabulary", config}};
}

INSTANTIATE_TEST_SUITE_P(Chunks, AgainstPlain, ::testing::ValuesIn(LargeVocabulary()),
                         [](const auto& info) { return info.param.name; });

TEST(Decoder, GradientsAgreeWithFiniteDifferences) {
  ModelConfig config = SmallConfig();
  config.shared_expert_intermediate_size = 28;
  config.first_k_dense_replace = 1;
  auto decoder = MakeDecoder(config);
  const PackedBatch batch = RandomBatch(config, {9, 6}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  Step(*decoder, batch, targets);
  const auto loss = [&] {
    at::NoGradGuard no_grad;
    const auto stats = decoder->Forward(batch, targets.rows, targets.targets, 1);
    double sum = 0;
    for (size_t i = 0; i < targets.rows.size(); ++i) {
      sum += static_cast<double>(targets.coefficients[i]) * stats->logprob.data_ptr<float>()[i];
    }
    return sum;
  };
  int compared = 0;
  for (const Parameter& parameter : decoder->parameters()) {
    // Along the gradient: the direction with the best ratio of signal to rounding.
    const at::Tensor gradient = parameter.tensor.grad();
    const double expected = gradient.norm().item<double>();
    if (expected < 0.1) continue;
    ++compared;
    const at::Tensor direction = gradient / expected;
    at::Tensor value = parameter.tensor.detach();
    const at::Tensor original = value.clone();
    const auto difference = [&](double eps) {
      value.copy_(original + eps * direction);
      decoder->WeightsChanged();
      const double high = loss();
      value.copy_(original - eps * direction);
      decoder->WeightsChanged();
      const double low = loss();
      value.copy_(original);
      return (high - low) / (2 * eps);
    };
    // Richardson: the error of the central difference cancels to fourth order.
    const double numeric = (4 * difference(5e-3) - difference(1e-2)) / 3;
    EXPECT_NEAR(numeric / expected, 1, 1e-3) << parameter.name << ", gradient " << expected;
  }
  EXPECT_GT(compared, 40);
}

TEST(Decoder, PackingMicroBatchesAndThreadsChangeNoBitOfTheForward) {
  const ModelConfig config = SmallConfig();
  const PackedBatch batch = RandomBatch(config, {40, 7, 33, 1}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  auto whole = MakeDecoder(config, /*threads=*/2);
  const TokenStats packed = Step(*whole, batch, targets);

  // One sequence a micro-batch, one thread.
  auto split = MakeDecoder(config, /*threads=*/1);
  std::vector<at::Tensor> logprobs;
  for (size_t s = 0; s + 1 < batch.starts.size(); ++s) {
    PackedBatch one;
    one.tokens.assign(batch.tokens.begin() + batch.starts[s],
                      batch.tokens.begin() + batch.starts[s + 1]);
    one.starts.push_back(one.tokens.size());
    Targets own;
    for (size_t i = 0; i < targets.rows.size(); ++i) {
      if (targets.rows[i] < batch.starts[s] || targets.rows[i] >= batch.starts[s + 1]) continue;
      own.rows.push_back(static_cast<int32_t>(targets.rows[i] - batch.starts[s]));
      own.targets.push_back(targets.targets[i]);
      own.coefficients.push_back(targets.coefficients[i]);
    }
    logprobs.push_back(Step(*split, one, own).logprob.detach());
  }
  EXPECT_TRUE(SameBits(packed.logprob.detach(), at::cat(logprobs)));
  const auto expected = Gradients(*whole);
  for (const auto& [name, gradient] : Gradients(*split)) {
    EXPECT_LT(RelativeError(gradient, expected.at(name)), 1e-6) << name;
  }
}

TEST(Decoder, ThreadsChangeNoBitOfTheGradients) {
  const ModelConfig config = SmallConfig();
  const PackedBatch batch = RandomBatch(config, {40, 7, 33, 1}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  auto one = MakeDecoder(config, /*threads=*/1);
  auto three = MakeDecoder(config, /*threads=*/3);
  EXPECT_TRUE(SameBits(Step(*one, batch, targets).logprob.detach(),
                       Step(*three, batch, targets).logprob.detach()));
  const auto expected = Gradients(*one);
  for (const auto& [name, gradient] : Gradients(*three))
    EXPECT_TRUE(SameBits(gradient, expected.at(name))) << name;
}

TEST(Decoder, GradientsAddUpInFlatBuffers) {
  const ModelConfig config = SmallConfig();
  const PackedBatch batch = RandomBatch(config, {12}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  auto decoder = MakeDecoder(config);
  Step(*decoder, batch, targets);
  const auto once = Gradients(*decoder);
  Step(*decoder, batch, targets);
  size_t replicated = 0;
  size_t expert = 0;
  for (const Parameter& parameter : decoder->parameters()) {
    EXPECT_LT(RelativeError(parameter.tensor.grad(), 2 * once.at(parameter.name)), 1e-5)
        << parameter.name;
    const absl::Span<float> flat =
        parameter.expert ? decoder->expert_gradients() : decoder->replicated_gradients();
    size_t& offset = parameter.expert ? expert : replicated;
    EXPECT_EQ(parameter.tensor.grad().data_ptr<float>(), flat.data() + offset) << parameter.name;
    offset += parameter.tensor.numel();
  }
  EXPECT_EQ(replicated, decoder->replicated_gradients().size());
  EXPECT_EQ(expert, decoder->expert_gradients().size());
  EXPECT_GT(expert, 0u);
  decoder->ZeroGradients();
  for (const auto& [name, gradient] : Gradients(*decoder))
    EXPECT_EQ(gradient.abs().max().item<float>(), 0) << name;
}

TEST(Decoder, ExportsWhatItLoaded) {
  const ModelConfig config = SmallConfig();
  auto decoder = MakeDecoder(config);
  const auto other = RandomWeights(config, kSeed + 1);
  ASSERT_TRUE(decoder->Load(*other).ok());
  const auto exported = decoder->Export(7);
  ASSERT_TRUE(exported.ok()) << exported.status();
  EXPECT_EQ((*exported)->manifest().version, 7);
  EXPECT_EQ(*(*exported)->blob(), *other->blob());
  EXPECT_TRUE((*exported)->VerifyChecksums().ok());
}

TEST(Decoder, ForwardSeesChangedWeights) {
  const ModelConfig config = SmallConfig();
  const PackedBatch batch = RandomBatch(config, {12}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  auto decoder = MakeDecoder(config);
  const auto before = Step(*decoder, batch, targets);
  {
    at::NoGradGuard no_grad;
    for (const Parameter& parameter : decoder->parameters()) {
      at::Tensor tensor = parameter.tensor;
      tensor.add_(parameter.tensor.grad(), 1e-3);
    }
  }
  decoder->WeightsChanged();
  const auto after = Step(*decoder, batch, targets);
  const at::Tensor coefficients = Row(targets.coefficients);
  EXPECT_GT(((after.logprob - before.logprob) * coefficients).sum().item<float>(), 0);
}

TEST(Decoder, SelectionBiasesFollowTheLoad) {
  ModelConfig config;
  for (const DecoderCase& one : DecoderCases()) {
    if (one.config.router_selection_bias) config = one.config;
  }
  ASSERT_TRUE(config.router_selection_bias);
  auto decoder = MakeDecoder(config);
  const PackedBatch batch = RandomBatch(config, {60, 60}, kSeed);
  const Targets targets = RandomTargets(config, batch, kSeed);
  const auto load = [&] {
    const at::NoGradGuard no_grad;
    EXPECT_TRUE(decoder->Forward(batch, targets.rows, targets.targets, 1).ok());
    return decoder->TakeRouterStats();
  };
  // A layer's biases, after one even, one starving and one crowded expert.
  const std::string name = absl::StrCat("model.layers.", config.num_hidden_layers - 1,
                                        ".mlp.gate.e_score_correction_bias");
  const auto bias = [&] {
    for (const Parameter& parameter : decoder->parameters()) {
      if (parameter.name == name) return parameter.tensor.detach().clone();
    }
    return at::Tensor();
  };
  const at::Tensor before = bias();
  std::vector<std::vector<int64_t>> counts(config.NumMoeLayers(),
                                           std::vector<int64_t>(config.num_experts, 10));
  counts.back()[1] = 9;
  counts.back()[2] = 11;
  decoder->NudgeSelectionBias(counts, 0.125);
  const at::Tensor moved = bias() - before;
  EXPECT_FLOAT_EQ(moved[0].item<float>(), 0);
  EXPECT_NEAR(moved[1].item<float>(), 0.125, 1e-6);
  EXPECT_NEAR(moved[2].item<float>(), -0.125, 1e-6);

  const double uneven = load().MeanLoadImbalance();
  for (int i = 0; i < 200; ++i) decoder->NudgeSelectionBias(load().expert_tokens, 0.01);
  EXPECT_GT(uneven, 1.5);
  EXPECT_LT(load().MeanLoadImbalance(), 1.3);
}

TEST(Decoder, StarvingExpertsAreNamed) {
  RouterStats stats;
  stats.layers = {1, 3};
  stats.expert_tokens = {{25, 25, 25, 25}, {100, 98, 2, 0}};
  EXPECT_THAT(stats.StarvingExperts(), ::testing::ElementsAre("3.2", "3.3"));
}

TEST(Decoder, RouterStatsCountEveryTokenAndStartAgain) {
  ModelConfig config = SmallConfig();
  config.first_k_dense_replace = 1;
  const PackedBatch batch = RandomBatch(config, {12, 5}, kSeed);
  auto decoder = MakeDecoder(config);
  ASSERT_TRUE(decoder->Forward(batch, {}, {}, 1).ok());
  const RouterStats stats = decoder->TakeRouterStats();
  ASSERT_EQ(stats.expert_tokens.size(), 2u);
  for (const auto& counts : stats.expert_tokens) {
    int64_t sum = 0;
    for (int64_t count : counts) sum += count;
    EXPECT_EQ(sum, 17 * 2);
  }
  EXPECT_EQ(stats.tokens, 2 * 17);
  EXPECT_GT(stats.entropy_sum / stats.tokens, 0);
  EXPECT_LE(stats.entropy_sum / stats.tokens, std::log(4.0) + 1e-6);
  EXPECT_GE(stats.MeanLoadImbalance(), 1);
  EXPECT_LE(stats.MeanLoadImbalance(), 4);
  EXPECT_EQ(decoder->TakeRouterStats().tokens, 0);
  EXPECT_EQ(decoder->TakeRouterStats().MeanLoadImbalance(), 0);
}

TEST(Decoder, BadInputIsNamed) {
  const ModelConfig config = SmallConfig();
  auto decoder = MakeDecoder(config);
  const auto message = [&](const PackedBatch& batch, std::vector<int32_t> rows,
                           std::vector<int32_t> targets, float temperature) {
    const auto stats = decoder->Forward(batch, rows, targets, temperature);
    EXPECT_EQ(stats.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(stats.status().message());
  };
  EXPECT_THAT(message({{1, 37}, {0, 2}}, {}, {}, 1), HasSubstr("token 1 is 37"));
  EXPECT_THAT(message({{1, 2}, {0, 1}}, {}, {}, 1), HasSubstr("starts must go from 0 to 2"));
  EXPECT_THAT(message({{1, 2}, {0, 2, 1, 2}}, {}, {}, 1), HasSubstr("sequence 1 has -1"));
  EXPECT_THAT(message(RandomBatch(config, {129}, kSeed), {}, {}, 1),
              HasSubstr("sequence 0 has 129"));
  EXPECT_THAT(message({{1, 2}, {0, 2}}, {0}, {}, 1), HasSubstr("1 rows, but 0 targets"));
  EXPECT_THAT(message({{1, 2}, {0, 2}}, {2}, {0}, 1), HasSubstr("row 0 is 2"));
  EXPECT_THAT(message({{1, 2}, {0, 2}}, {0}, {-1}, 1), HasSubstr("target 0 is -1"));
  EXPECT_THAT(message({{1, 2}, {0, 2}}, {0}, {1}, 0), HasSubstr("temperature"));
  // A second backward through one graph is an error, not a wrong gradient.
  const auto stats =
      decoder->Forward({{1, 2}, {0, 2}}, std::vector<int32_t>{0}, std::vector<int32_t>{1}, 1);
  EXPECT_TRUE(decoder->Backward(stats->logprob.sum()).ok());
  EXPECT_FALSE(decoder->Backward(stats->logprob.sum()).ok());
}

}  // namespace decoder_test
}  // namespace ponder::moe

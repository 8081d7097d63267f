// The engine, one promise at a time, beside generation one by one and a slow reference of the model;
// soak_test.cc throws everything at it at once.
#include "actor/engine/engine.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/philox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "moe/routing_record.h"
#include "moe/scoring.h"
#include "tests/moe/reference_decoder.h"

namespace ponder::actor {
namespace engine_test {

using ::testing::HasSubstr;

moe::ModelConfig SmallConfig() {
  moe::ModelConfig config;
  config.vocab_size = 40;
  config.hidden_size = 16;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.intermediate_size = 24;
  config.num_experts = 4;
  config.num_experts_per_tok = 2;
  config.moe_intermediate_size = 12;
  config.max_position_embeddings = 256;
  return config;
}

constexpr int32_t kEos = 3;

Engine::Request MakeRequest(const std::string& id, int64_t sample, int64_t prompt_tokens,
                            int64_t max_new_tokens) {
  Engine::Request request;
  request.key = {id, sample};
  Rng rng(17, id);
  for (int64_t i = 0; i < prompt_tokens; ++i)
    request.prompt_tokens.push_back(static_cast<int32_t>(rng.NextInt(0, 39)));
  request.max_new_tokens = max_new_tokens;
  request.seed = 99;
  request.eos_tokens = {kEos};
  return request;
}

// Groups of siblings and loners; prompts that end on, before and behind the end of a page; all
// kinds of sampling.
std::vector<Engine::Request> MixedRequests() {
  std::vector<Engine::Request> requests;
  const int64_t prompt_lengths[] = {1, 31, 32, 33, 64, 70};
  for (int64_t prompt : prompt_lengths) {
    for (int64_t sample = 0; sample < 5; ++sample) {
      requests.push_back(MakeRequest(absl::StrCat("p", prompt), sample, prompt, 1 + 17 * sample));
      requests.back().sampling.temperature =
          sample == 4 ? 0 : 0.6f + 0.4f * static_cast<float>(sample);
      requests.back().sampling.top_p = sample == 1 ? 0.7f : 1;
    }
  }
  // Every way of sampling and of ending.
  for (int64_t kind = 0; kind < 5; ++kind) {
    requests.push_back(MakeRequest("p70", 20 + kind, 70, 50));
    kernels::SamplingOptions& sampling = requests.back().sampling;
    sampling.temperature = 0.8f;
    if (kind == 0) sampling.top_k = 4;
    if (kind == 1) sampling.min_p = 0.1f;
    if (kind == 2)
      sampling.repetition_penalty = 1.4f, sampling.logit_bias = {{5, 1.f}, {kEos, -9.f}};
    if (kind == 3) requests.back().stop_tokens = {7, 11};
    if (kind == 4) requests.back().think = {12, requests.back().prompt_tokens[69], 9};
  }
  // A late sibling, apart from its group.
  requests.push_back(MakeRequest("p33", 7, 33, 40));
  return requests;
}

Engine::Options Threads(int threads, int64_t max_batch) {
  Engine::Options options;
  options.threads = threads;
  options.max_batch = max_batch;
  options.kv_cache_mib = 1;
  options.prefill_tokens = 23;
  return options;
}

// Whether `uniform` falls to `token` when tokens divide [0, 1) in index order by their probability;
// 1e-5 of slack.
bool DrawnBy(float uniform, const std::vector<double>& logits, int32_t token, double temperature) {
  double below = 0;
  for (int32_t v = 0; v < token; ++v)
    below += std::exp(moe::ReferenceLogprob(logits, v, temperature));
  const double above = below + std::exp(moe::ReferenceLogprob(logits, token, temperature));
  return below - 1e-5 <= uniform && uniform <= above + 1e-5;
}

bool SameRollout(const Engine::Finished& a, const Engine::Finished& b) {
  return a.key == b.key && a.tokens == b.tokens && a.logprobs == b.logprobs &&
         a.stop_reason == b.stop_reason && a.drawn_logprobs == b.drawn_logprobs &&
         a.untempered_logprobs == b.untempered_logprobs && a.forced == b.forced;
}

class EngineTest : public ::testing::TestWithParam<void (*)(moe::ModelConfig&)> {
 protected:
  EngineTest() {
    moe::ModelConfig config = SmallConfig();
    GetParam()(config);
    model_ = moe::RandomModel(config, 23);
  }
  moe::Model model_;
};

TEST_P(EngineTest, ABatchEqualsOneByOne) {
  std::vector<Engine::Finished> alone;
  for (const Engine::Request& request : MixedRequests()) {
    auto engine = *Engine::Make(Threads(1, 1), model_, 1);
    alone.push_back((*GenerateAll(*engine, {request}))[0]);
  }
  int ended_early = 0;
  for (const Engine::Finished& finished : alone)
    ended_early += finished.stop_reason == StopReason::kEndOfSequence;
  EXPECT_GT(ended_early, 3) << "sequences must leave at different times";
  for (int threads : {1, 2}) {
    for (int64_t max_batch : {1, 3, 64}) {
      auto engine = *Engine::Make(Threads(threads, max_batch), model_, 1);
      const auto together = GenerateAll(*engine, MixedRequests());
      ASSERT_TRUE(together.ok()) << together.status();
      ASSERT_EQ(together->size(), alone.size());
      for (size_t i = 0; i < alone.size(); ++i) {
        ASSERT_TRUE(SameRollout((*together)[i], alone[i]))
            << threads << " threads, batches of " << max_batch << ", request " << i << " ("
            << alone[i].key.prompt_id << ", " << alone[i].key.sample_index << ")";
      }
      EXPECT_EQ(engine->pages_in_use(), 0);
    }
  }
}

TEST_P(EngineTest, TokensAndLogprobsAreThoseOfTheReference) {
  auto engine = *Engine::Make(Threads(1, 64), model_, 1);
  const std::vector<Engine::Request> requests = MixedRequests();
  const auto results = *GenerateAll(*engine, requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    std::vector<int32_t> sequence = requests[i].prompt_tokens;
    sequence.insert(sequence.end(), results[i].tokens.begin(), results[i].tokens.end());
    const auto logits = moe::ReferenceLogits(model_, sequence);
    ASSERT_EQ(results[i].logprobs.size(), results[i].tokens.size());
    for (size_t t = 0; t < results[i].tokens.size(); ++t) {
      const auto& row = logits[requests[i].prompt_tokens.size() + t - 1];
      ASSERT_NEAR(
          results[i].logprobs[t],
          moe::ReferenceLogprob(row, results[i].tokens[t], requests[i].sampling.temperature), 1e-5)
          << "request " << i << ", token " << t;
      if (requests[i].sampling.temperature > 0 && !requests[i].sampling.truncates() &&
          !requests[i].sampling.adjusts() && results[i].forced.empty()) {
        const SampleRng rng(requests[i].seed, requests[i].key.prompt_id,
                            requests[i].key.sample_index);
        ASSERT_TRUE(DrawnBy(rng.Uniform(static_cast<int64_t>(t)), row, results[i].tokens[t],
                            requests[i].sampling.temperature))
            << "request " << i << ", token " << t;
      }
      if (requests[i].sampling.temperature == 0) {
        const auto best = std::max_element(row.begin(), row.end()) - row.begin();
        ASSERT_EQ(results[i].tokens[t], best) << "request " << i << ", token " << t;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, EngineTest,
                         ::testing::Values(
                             +[](moe::ModelConfig&) {},
                             +[](moe::ModelConfig& c) {
                               c.shared_expert_intermediate_size = 20;
                               c.first_k_dense_replace = 1;
                             },
                             +[](moe::ModelConfig& c) {
                               c.scoring_func = "sigmoid";
                               c.tie_word_embeddings = true;
                             }));

TEST(Engine, DrawsAreKeyedBySeedPromptAndSample) {
  const moe::Model model = moe::RandomModel(SmallConfig(), 23);
  auto engine = *Engine::Make(Threads(1, 8), model, 1);
  Engine::Request base = MakeRequest("p", 0, 10, 30);
  base.eos_tokens = {};
  Engine::Request other_sample = base, other_seed = base;
  other_sample.key.sample_index = 1;
  other_seed.key.prompt_id = "q";  // same tokens under another id
  const auto results = *GenerateAll(*engine, {base, other_sample, other_seed});
  base.seed = 100;
  const auto reseeded = *GenerateAll(*engine, {base});
  EXPECT_NE(results[0].tokens, results[1].tokens);
  EXPECT_NE(results[0].tokens, results[2].tokens);
  EXPECT_NE(results[0].tokens, reseeded[0].tokens);
  EXPECT_EQ(results[0].tokens.size(), 30u);
  EXPECT_EQ(results[0].stop_reason, StopReason::kLength);
}

TEST(Engine, SiblingsShareThePagesOfTheirPrompt) {
  const moe::Model model = moe::RandomModel(SmallConfig(), 23);
  auto engine = *Engine::Make(Threads(1, 8), model, 1);
  for (int64_t sample = 0; sample < 8; ++sample) {
    Engine::Request request =
        MakeRequest("p", sample, 80, 17);  // positions 0 to 95: 2 full pages, 1 partial
    request.eos_tokens = {};
    ASSERT_TRUE(engine->Enqueue(request).ok());
  }
  std::vector<Engine::Finished> done;
  // The prompt goes in by chunks of 23; then the siblings join.
  for (int step = 0; step < 5; ++step) ASSERT_TRUE(engine->Step(&done).ok());
  EXPECT_EQ(engine->stats().running, 8);
  EXPECT_EQ(engine->pages_in_use(), 2 + 8);
  EXPECT_EQ(engine->stats().tokens_shared, 7 * 80);
  while (engine->pending() > 0) ASSERT_TRUE(engine->Step(&done).ok());
  EXPECT_EQ(engine->pages_in_use(), 0);
}

TEST(Engine, ATightBudgetDelaysButNeverDeadlocks) {
  moe::ModelConfig config = SmallConfig();
  config.num_hidden_layers = 16;  // 64 KiB a page, 16 pages in all
  config.max_position_embeddings = 480;
  const moe::Model model = moe::RandomModel(config, 5);
  auto engine = *Engine::Make(Threads(1, 64), model, 1);
  std::vector<Engine::Request> requests;
  for (int64_t sample = 0; sample < 6; ++sample) {
    for (const char* id : {"a", "b"}) requests.push_back(MakeRequest(id, sample, 420, 60));
  }
  // Siblings together: the second of each group comes when the first has gone.
  std::sort(requests.begin(), requests.end(),
            [](const auto& a, const auto& b) { return a.key < b.key; });
  for (Engine::Request& request : requests)
    request.prompt_tokens.resize(request.key.prompt_id == "a" ? 420 : 400);
  const auto together = *GenerateAll(*engine, requests);
  EXPECT_EQ(engine->pages_in_use(), 0);
  for (size_t i = 0; i < requests.size(); i += 5) {
    EXPECT_TRUE(SameRollout(together[i], (*GenerateAll(*engine, {requests[i]}))[0])) << i;
  }
  config.max_position_embeddings = 513;
  const absl::Status status = Engine::Make(Threads(1, 64), moe::RandomModel(config, 5), 1).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("kv_cache_mib"));
}

// The record of a sequence that nobody else's computation had a part in.
std::string RoutingAlone(const moe::Model& model, const Engine::Request& request,
                         const Engine::Finished& finished) {
  const moe::RoutingShape shape = moe::RoutingShape::Of(model.config);
  kernels::ThreadPool pool(1);
  moe::Inference inference(pool, *moe::PackModel(pool, model));
  std::vector<int32_t> tokens = request.prompt_tokens;
  tokens.insert(tokens.end(), finished.tokens.begin(), finished.tokens.end() - 1);
  const auto scores = *moe::ScoreTokens(inference, tokens, /*routing=*/true);
  std::vector<uint8_t> record(tokens.size() * shape.token_bytes());
  for (size_t t = 0; t < tokens.size(); ++t) {
    for (size_t i = 0; i < shape.layers.size(); ++i) {
      moe::WriteRouting(shape, static_cast<int64_t>(i),
                        scores.routing[shape.layers[i]].experts.data() + t * shape.slots,
                        record.data() + t * shape.token_bytes());
    }
  }
  return {record.begin(), record.end()};
}

TEST_P(EngineTest, RecordsTheExpertsOfEveryTokenFed) {
  for (const auto& [max_batch, prefill] : {std::pair<int64_t, int64_t>{64, 512}, {3, 7}}) {
    Engine::Options options = Threads(2, max_batch);
    options.prefill_tokens = prefill;
    options.record_routing = true;
    auto engine = *Engine::Make(options, model_, 1);
    const std::vector<Engine::Request> requests = MixedRequests();
    // The second time what they begin with is known already.
    for (int round = 0; round < 2; ++round) {
      const auto together = GenerateAll(*engine, requests);
      ASSERT_TRUE(together.ok()) << together.status();
      for (size_t i = 0; i < requests.size(); ++i) {
        ASSERT_EQ((*together)[i].routed_experts, RoutingAlone(model_, requests[i], (*together)[i]))
            << "request " << i << ", round " << round;
      }
    }
    EXPECT_GT(engine->stats().tokens_shared, 0);
  }
  auto silent = *Engine::Make(Threads(1, 4), model_, 1);
  EXPECT_EQ((*GenerateAll(*silent, {MixedRequests()[3]}))[0].routed_experts, "");
}

TEST(Engine, PreemptedSequencesKeepTheirRouting) {
  moe::ModelConfig config = SmallConfig();
  config.num_hidden_layers = 16;
  config.max_position_embeddings = 480;
  const moe::Model model = moe::RandomModel(config, 5);
  Engine::Options options = Threads(1, 64);
  options.record_routing = true;
  auto engine = *Engine::Make(options, model, 1);
  std::vector<Engine::Request> requests;
  for (int64_t sample = 0; sample < 4; ++sample) {
    for (const char* id : {"a", "b"}) {
      requests.push_back(MakeRequest(id, sample, 70, 200));
      requests.back().eos_tokens.clear();
    }
  }
  const auto together = *GenerateAll(*engine, requests);
  EXPECT_GT(engine->stats().preemptions, 0);
  for (size_t i = 0; i < requests.size(); ++i)
    EXPECT_EQ(together[i].routed_experts, RoutingAlone(model, requests[i], together[i])) << i;
}

TEST(Engine, StreamsEachToken) {
  const moe::Model model = moe::RandomModel(SmallConfig(), 23);
  auto engine = *Engine::Make(Threads(1, 4), model, 1);
  std::map<int64_t, std::pair<std::vector<int32_t>, std::vector<float>>> streamed;
  for (int64_t sample = 0; sample < 6; ++sample) {
    ASSERT_TRUE(engine->Enqueue(MakeRequest("p", sample, 5, 20)).ok());
  }
  std::vector<Engine::Finished> done;
  while (engine->pending() > 0) {
    ASSERT_TRUE(engine
                    ->Step(&done,
                           [&](const Engine::Token& next) {
                             auto& [tokens, logprobs] = streamed[next.key.sample_index];
                             tokens.push_back(next.token.token);
                             logprobs.push_back(next.token.logprob);
                           })
                    .ok());
  }
  ASSERT_EQ(done.size(), 6u);
  for (const Engine::Finished& finished : done) {
    EXPECT_EQ(streamed[finished.key.sample_index].first, finished.tokens);
    EXPECT_EQ(streamed[finished.key.sample_index].second, finished.logprobs);
  }
}

// --- how a request ends ---

TEST(Engine, EndsAtStopTokensStopStringsAndForcedThoughts) {
  const moe::Model model = moe::RandomModel(SmallConfig(), 23);
  Engine::Options options = Threads(1, 8);
  options.token_text = [](int32_t token) { return absl::StrCat("<", token, ">"); };
  auto engine = *Engine::Make(options, model, 1);
  Engine::Request plain = MakeRequest("p", 0, 10, 60);
  plain.eos_tokens = {};
  const Engine::Finished whole = (*GenerateAll(*engine, {plain}))[0];
  ASSERT_EQ(whole.tokens.size(), 60u);
  EXPECT_EQ(whole.stop_reason, StopReason::kLength);
  EXPECT_TRUE(whole.drawn_logprobs.empty() && whole.untempered_logprobs.empty());
  const auto first = [&](int32_t token) {
    return std::find(whole.tokens.begin(), whole.tokens.end(), token) - whole.tokens.begin();
  };
  const auto expect_prefix = [&](const Engine::Finished& cut, int64_t length) {
    EXPECT_EQ(cut.stop_reason, StopReason::kStop);
    EXPECT_EQ(cut.tokens,
              std::vector<int32_t>(whole.tokens.begin(), whole.tokens.begin() + length));
  };

  Engine::Request request = plain;
  request.stop_tokens = {whole.tokens[20], whole.tokens[30]};
  expect_prefix((*GenerateAll(*engine, {request}))[0],
                std::min(first(whole.tokens[20]), first(whole.tokens[30])) + 1);

  request = plain;  // over the border of two tokens
  request.stop_strings = {"nothing", absl::StrCat(whole.tokens[25], "><", whole.tokens[26], ">")};
  int64_t ends = 1;
  while (whole.tokens[ends - 1] != whole.tokens[25] || whole.tokens[ends] != whole.tokens[26])
    ++ends;
  expect_prefix((*GenerateAll(*engine, {request}))[0], ends + 1);

  request = plain;
  request.think = {10, request.prompt_tokens[9], /*close=*/39};
  request.sampling.logit_bias = {{39, -100.f}, {request.prompt_tokens[9], -100.f}};
  const Engine::Finished forced = (*GenerateAll(*engine, {request}))[0];
  EXPECT_EQ(std::count(forced.tokens.begin(), forced.tokens.end(), 39), 1);
  EXPECT_EQ(forced.tokens[10], 39);
  EXPECT_EQ(forced.forced, std::vector<int64_t>{10});
  EXPECT_EQ(forced.drawn_logprobs[10], 0);
  // What the learner would recompute, like every other token's.
  std::vector<int32_t> sequence = request.prompt_tokens;
  sequence.insert(sequence.end(), forced.tokens.begin(), forced.tokens.end());
  EXPECT_NEAR(forced.logprobs[10],
              moe::ReferenceLogprob(moe::ReferenceLogits(model, sequence)[19], 39, 1), 1e-5);
}

TEST(Engine, ShowsTheLikeliestTokens) {
  const moe::Model model = moe::RandomModel(SmallConfig(), 23);
  auto engine = *Engine::Make(Threads(2, 4), model, 1);
  Engine::Request request = MakeRequest("p", 0, 10, 12);
  request.sampling.temperature = 0;
  request.top_logprobs = 3;
  ASSERT_TRUE(engine->Enqueue(request).ok());
  std::vector<Engine::Finished> done;
  int seen = 0;
  while (engine->pending() > 0) {
    ASSERT_TRUE(engine
                    ->Step(&done,
                           [&](const Engine::Token& next) {
                             ++seen;
                             ASSERT_EQ(next.top.size(), 3u);
                             EXPECT_EQ(next.top[0].first, next.token.token);
                             EXPECT_EQ(next.top[0].second, next.token.untempered_logprob);
                             EXPECT_GE(next.top[1].second, next.top[2].second);
                           })
                    .ok());
  }
  EXPECT_EQ(seen, static_cast<int>(done[0].tokens.size()));
}

TEST(Engine, CancelGivesBackWhatIsThereAndAllPages) {
  const moe::Model model = moe::RandomModel(SmallConfig(), 23);
  auto engine = *Engine::Make(Threads(1, 3), model, 1);
  std::vector<Engine::Request> requests;
  for (int64_t sample = 0; sample < 5; ++sample) {
    requests.push_back(MakeRequest("p", sample, 10, 30));
    requests.back().eos_tokens = {};
  }
  const auto whole = *GenerateAll(*engine, requests);
  for (const Engine::Request& request : requests) ASSERT_TRUE(engine->Enqueue(request).ok());
  std::vector<Engine::Finished> done;
  for (int step = 0; step < 8; ++step) ASSERT_TRUE(engine->Step(&done).ok());
  const auto running = engine->Cancel({"p", 0});  // the one whose prompt the others share
  ASSERT_TRUE(running.has_value());
  EXPECT_EQ(running->stop_reason, StopReason::kCancelled);
  EXPECT_GT(running->tokens.size(), 4u);
  EXPECT_TRUE(std::equal(running->tokens.begin(), running->tokens.end(), whole[0].tokens.begin()));
  const auto waiting = engine->Cancel({"p", 4});
  ASSERT_TRUE(waiting.has_value());
  EXPECT_TRUE(waiting->tokens.empty());
  EXPECT_FALSE(engine->Cancel({"p", 4}).has_value());
  EXPECT_EQ(engine->pending(), 3);
  while (engine->pending() > 0) ASSERT_TRUE(engine->Step(&done).ok());
  ASSERT_EQ(done.size(), 3u);
  for (const Engine::Finished& finished : done)
    EXPECT_TRUE(SameRollout(finished, whole[static_cast<size_t>(finished.key.sample_index)]));
  EXPECT_EQ(engine->pages_in_use(), 0);
}

// --- sharing and preemption ---

TEST(Engine, ACommonBeginningIsFedOnceAcrossPromptsAndCalls) {
  const moe::Model model = moe::RandomModel(SmallConfig(), 23);
  const auto with_system = [](int64_t i) {
    Engine::Request request = MakeRequest("system", 0, 100, 10);  // three full pages
    request.key = {absl::StrCat("q", i), 0};
    request.prompt_tokens.resize(static_cast<size_t>(101 + i), static_cast<int32_t>(i));
    return request;
  };
  std::vector<Engine::Request> requests;
  for (int64_t i = 0; i < 6; ++i) requests.push_back(with_system(i));
  Engine::Options options = Threads(1, 8);
  options.prefill_tokens = 512;
  auto engine = *Engine::Make(options, model, 1);
  const auto together = *GenerateAll(*engine, requests);
  EXPECT_EQ(engine->stats().tokens_shared, 5 * 96) << "in the very pass that feeds it first";
  EXPECT_EQ(engine->pages_in_use(), 0);
  const auto later = *GenerateAll(*engine, {requests[2]});
  EXPECT_EQ(engine->stats().tokens_shared, 6 * 96) << "the pages stay known";
  EXPECT_TRUE(SameRollout(later[0], together[2]));
  for (size_t i = 0; i < requests.size(); ++i) {
    auto fresh = *Engine::Make(options, model, 1);
    EXPECT_TRUE(SameRollout((*GenerateAll(*fresh, {requests[i]}))[0], together[i])) << i;
  }
  // New weights share nothing of the old ones.
  const moe::Model other = moe::RandomModel(SmallConfig(), 24);
  ASSERT_TRUE(engine->SetModel(other, 2).ok());
  auto fresh = *Engine::Make(options, other, 2);
  EXPECT_TRUE(SameRollout((*GenerateAll(*engine, {requests[1]}))[0],
                          (*GenerateAll(*fresh, {requests[1]}))[0]));
}

TEST(Engine, PreemptedSequencesGoOnAsIfNothingHadHappened) {
  moe::ModelConfig config = SmallConfig();
  config.num_hidden_layers = 16;  // 64 KiB a page, 16 pages in all
  const moe::Model model = moe::RandomModel(config, 5);
  std::vector<Engine::Request> requests;
  for (int64_t sample = 0; sample < 10; ++sample) {
    requests.push_back(
        MakeRequest(absl::StrCat("p", sample / 2), sample, 5 + sample / 2 * 10, 190));
    requests.back().eos_tokens = {};
  }
  Engine::Options roomy = Threads(1, 16);
  roomy.kv_cache_mib = 64;
  auto reference = *Engine::Make(roomy, model, 1);
  const auto expected = *GenerateAll(*reference, requests);
  EXPECT_EQ(reference->stats().preemptions, 0);
  for (int threads : {1, 2}) {
    auto engine = *Engine::Make(Threads(threads, 16), model, 1);
    const auto results = *GenerateAll(*engine, requests);
    EXPECT_GT(engine->stats().preemptions, 3);
    EXPECT_EQ(engine->pages_in_use(), 0);
    for (size_t i = 0; i < requests.size(); ++i)
      EXPECT_TRUE(SameRollout(results[i], expected[i])) << i;
  }
}

// --- new weights ---

class SwapTest : public ::testing::TestWithParam<Engine::KvOnSwap> {};

TEST_P(SwapTest, RunningSequencesGoOnUnderTheNewWeights) {
  const moe::Model first = moe::RandomModel(SmallConfig(), 1),
                   second = moe::RandomModel(SmallConfig(), 2);
  Engine::Options options = Threads(1, 2);
  options.kv_on_swap = GetParam();
  auto engine = *Engine::Make(options, first, 10);
  std::vector<Engine::Request> requests;
  for (int64_t sample = 0; sample < 4; ++sample) {
    requests.push_back(MakeRequest("p", sample, 40, 12));
    requests.back().eos_tokens = {};
    ASSERT_TRUE(engine->Enqueue(requests.back()).ok());
  }
  std::vector<Engine::Finished> done;
  for (int step = 0; step < 5; ++step) ASSERT_TRUE(engine->Step(&done).ok());
  ASSERT_TRUE(engine->SetModel(second, 11).ok());
  EXPECT_EQ(engine->version(), 11);
  while (engine->pending() > 0) ASSERT_TRUE(engine->Step(&done).ok());
  ASSERT_EQ(done.size(), 4u);
  EXPECT_EQ(engine->pages_in_use(), 0);
  std::sort(done.begin(), done.end(), [](const auto& a, const auto& b) { return a.key < b.key; });

  auto old_engine = *Engine::Make(Threads(1, 4), first, 10);
  auto new_engine = *Engine::Make(Threads(1, 4), second, 11);
  const auto old_results = *GenerateAll(*old_engine, requests);
  const auto new_results = *GenerateAll(*new_engine, requests);
  const bool recompute = GetParam() == Engine::KvOnSwap::kRecompute;
  for (size_t i = 0; i < 2; ++i) {  // these were running
    const Engine::Finished& finished = done[i];
    ASSERT_EQ(finished.segments.size(), 2u);
    EXPECT_EQ(finished.segments[0].weight_version, 10);
    EXPECT_EQ(finished.segments[0].first_token, 0);
    EXPECT_EQ(finished.segments[0].kv_version, 10);
    EXPECT_EQ(finished.segments[1].weight_version, 11);
    EXPECT_EQ(finished.segments[1].kv_version, recompute ? 11 : 10);
    const int64_t swapped = finished.segments[1].first_token;
    ASSERT_GT(swapped, 1);
    ASSERT_LT(swapped, 12);
    EXPECT_TRUE(std::equal(finished.tokens.begin(), finished.tokens.begin() + swapped,
                           old_results[i].tokens.begin()));
    // Recomputed keys: what comes is exactly the new weights' continuation of what is there.
    std::vector<int32_t> sequence = requests[i].prompt_tokens;
    sequence.insert(sequence.end(), finished.tokens.begin(), finished.tokens.end());
    const auto logits = moe::ReferenceLogits(second, sequence);
    double gap = 0;
    for (int64_t t = swapped; t < 12; ++t) {
      const double logprob = moe::ReferenceLogprob(logits[static_cast<size_t>(40 + t - 1)],
                                                   finished.tokens[static_cast<size_t>(t)], 1);
      gap = std::max(gap, std::abs(logprob - finished.logprobs[static_cast<size_t>(t)]));
    }
    if (recompute) {
      EXPECT_LT(gap, 1e-5);
    } else {
      EXPECT_GT(gap, 1e-3) << "kept keys cannot give the new weights' log-probs";
    }
  }
  for (size_t i = 2; i < 4; ++i) {  // siblings that came later: nothing of the old weights in them
    EXPECT_TRUE(SameRollout(done[i], new_results[i])) << i;
    ASSERT_EQ(done[i].segments.size(), 1u);
    EXPECT_EQ(done[i].segments[0].weight_version, 11);
    EXPECT_EQ(done[i].segments[0].kv_version, 11);
  }

  moe::ModelConfig wider = SmallConfig();
  wider.num_experts = 5;
  EXPECT_TRUE(absl::IsInvalidArgument(engine->SetModel(moe::RandomModel(wider, 1), 12)));
  EXPECT_EQ(engine->version(), 11);
}

INSTANTIATE_TEST_SUITE_P(Kinds, SwapTest,
                         ::testing::Values(Engine::KvOnSwap::kRecompute, Engine::KvOnSwap::kKeep));

TEST(Engine, RefusesRequestsByName) {
  const moe::Model model = moe::RandomModel(SmallConfig(), 23);
  auto engine = *Engine::Make(Threads(1, 4), model, 1);
  const auto message = [&](const std::function<void(Engine::Request&)>& change) {
    Engine::Request request = MakeRequest("the-prompt", 0, 10, 20);
    change(request);
    return std::string(engine->Enqueue(request).message());
  };
  EXPECT_THAT(message([](auto& r) { r.prompt_tokens.clear(); }), HasSubstr("the-prompt"));
  EXPECT_THAT(message([](auto& r) { r.max_new_tokens = 247; }),
              HasSubstr("max_position_embeddings"));
  EXPECT_THAT(message([](auto& r) { r.max_new_tokens = std::numeric_limits<int64_t>::max(); }),
              HasSubstr("max_position_embeddings"));
  EXPECT_THAT(message([](auto& r) { r.max_new_tokens = 0; }), HasSubstr("max_new_tokens"));
  EXPECT_THAT(message([](auto& r) { r.prompt_tokens[4] = 40; }), HasSubstr("token 40"));
  EXPECT_THAT(message([](auto& r) { r.prompt_tokens[4] = -1; }), HasSubstr("token -1"));
  EXPECT_THAT(message([](auto& r) { r.sampling.temperature = -0.5f; }), HasSubstr("temperature"));
  EXPECT_THAT(message([](auto& r) { r.sampling.temperature = std::nanf(""); }),
              HasSubstr("temperature"));
  EXPECT_THAT(message([](auto& r) { r.sampling.top_p = 0; }), HasSubstr("top_p"));
  EXPECT_THAT(message([](auto& r) { r.sampling.top_k = -1; }), HasSubstr("top_k"));
  EXPECT_THAT(message([](auto& r) { r.sampling.min_p = 1; }), HasSubstr("min_p"));
  EXPECT_THAT(message([](auto& r) { r.sampling.repetition_penalty = 0; }),
              HasSubstr("repetition_penalty"));
  EXPECT_THAT(message([](auto& r) {
                r.sampling.logit_bias = {{40, 1.f}};
              }),
              HasSubstr("logit_bias of token 40"));
  EXPECT_THAT(message([](auto& r) { r.stop_strings = {"x"}; }), HasSubstr("token_text"));
  EXPECT_THAT(message([](auto& r) { r.stop_strings = {""}; }), HasSubstr("empty"));
  EXPECT_THAT(message([](auto& r) { r.think.tokens = 4; }), HasSubstr("closes a thought"));
  EXPECT_THAT(message([](auto& r) { r.top_logprobs = 41; }), HasSubstr("top_logprobs"));
  EXPECT_EQ(engine->pending(), 0);
  EXPECT_EQ(message([](auto&) {}), "");
  EXPECT_THAT(message([](auto&) {}), HasSubstr("already"));
  EXPECT_EQ(engine->pending(), 1);
}

}  // namespace engine_test
}  // namespace ponder::actor

#include "actor/evaluate.h"

#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "data/tokenizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/moe/reference_decoder.h"

namespace ponder::actor {
namespace evaluate_test {

using ::testing::HasSubstr;

moe::Model SmallModel() {
  moe::ModelConfig config;
  config.vocab_size = data::ByteTokenizer::kVocabSize;
  config.hidden_size = 16;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.num_key_value_heads = 1;
  config.head_dim = 8;
  config.num_experts = 4;
  config.num_experts_per_tok = 2;
  config.moe_intermediate_size = 8;
  config.max_position_embeddings = 64;
  config.eos_token_id = data::ByteTokenizer::kEos;
  return moe::RandomModel(config, 3);
}

std::vector<Prompt> Prompts(int count) {
  std::vector<Prompt> prompts;
  for (int i = 0; i < count; ++i) {
    Prompt prompt;
    prompt.id = absl::StrCat("p", i);
    prompt.kind = "math";
    prompt.messages = {{"user", absl::StrCat("what is ", i, "?")}};
    prompt.gold = absl::StrCat(i);
    prompts.push_back(prompt);
  }
  return prompts;
}

// Judges the n-th answer of each prompt by a table, and keeps what it was asked.
class TableVerifier : public VerifierLink {
 public:
  explicit TableVerifier(std::vector<std::vector<Verdict::Outcome>> table)
      : table_(std::move(table)) {}
  std::vector<Verdict> Grade(const std::vector<Question>& questions) override {
    std::vector<Verdict> verdicts;
    for (const Question& question : questions) {
      asked.push_back(question);
      const size_t prompt = static_cast<size_t>(std::stoi(question.gold));
      Verdict verdict;
      verdict.outcome = table_[prompt][seen_[prompt]++];
      verdict.reason = "table";
      verdicts.push_back(verdict);
    }
    return verdicts;
  }
  std::vector<Question> asked;

 private:
  std::vector<std::vector<Verdict::Outcome>> table_;
  std::map<size_t, size_t> seen_;
};

constexpr auto kYes = Verdict::Outcome::kCorrect, kNo = Verdict::Outcome::kWrong,
               kUnreadable = Verdict::Outcome::kUnparsable, kLost = Verdict::Outcome::kError,
               kLate = Verdict::Outcome::kTimeout;

TEST(Evaluate, CountsBySampleAndByPrompt) {
  // Four samples, then the greedy answer.
  TableVerifier verifier({{kYes, kYes, kNo, kUnreadable, kYes},
                          {kNo, kNo, kNo, kUnreadable, kNo},
                          {kYes, kLost, kLost, kLate, kLost}});
  EvalOptions options;
  options.samples = 4;
  options.examples = 2;
  options.max_response_tokens = 6;
  const auto report = Evaluate(SmallModel(), Prompts(3), options, verifier);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->prompts, 3);
  EXPECT_DOUBLE_EQ(report->avg_at_k.value,
                   (2.0 / 4 + 0.0 + 1.0 / 2) / 3);  // an error is not 'wrong'
  EXPECT_DOUBLE_EQ(report->greedy.value, 1.0 / 2);
  EXPECT_EQ(report->errors, 3);
  EXPECT_EQ(report->unparsable, 2);
  ASSERT_EQ(report->pass_at.size(), 3u);
  EXPECT_EQ(report->pass_at[1].k, 2);
  // Of two of {yes, yes, no, no}: 1 - 1/6. The third prompt has two judged answers.
  EXPECT_NEAR(report->pass_at[1].accuracy.value, (5.0 / 6 + 0 + 1) / 3, 1e-12);
  EXPECT_EQ(report->pass_at[2].k, 4);
  EXPECT_NEAR(report->pass_at[2].accuracy.value, 1.0 / 2, 1e-12);  // the third has no four
  EXPECT_NEAR(report->pass_at[2].accuracy.interval.low, WilsonInterval(0.5, 2).low, 1e-12);
  ASSERT_EQ(report->examples.size(), 2u);
  EXPECT_EQ(report->examples[1].prompt_id, "p1");
  EXPECT_EQ(report->examples[1].question, "what is 1?");
  EXPECT_GT(report->mean_response_tokens, 1);
  EXPECT_LE(report->mean_response_tokens, 6);

  const std::string text =
      report->ToJson().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const auto json = nlohmann::json::parse(text);
  EXPECT_DOUBLE_EQ(json["avg_at_k"], report->avg_at_k.value);
  EXPECT_DOUBLE_EQ(json["pass_at_k"], 0.5);
  EXPECT_EQ(json["pass_at"][0]["k"], 1);
  EXPECT_EQ(json["k"], 4);
}

TEST(Evaluate, IsAPureFunctionOfSeedAndPrompt) {
  const std::vector<std::vector<Verdict::Outcome>> table(6, std::vector<Verdict::Outcome>(4, kYes));
  const auto responses = [&](int64_t max_prompts, uint64_t seed, int64_t max_batch) {
    TableVerifier verifier(table);
    EvalOptions options;
    options.samples = 3;
    options.seed = seed;
    options.max_prompts = max_prompts;
    options.engine.max_batch = max_batch;
    options.max_response_tokens = 20;
    EXPECT_TRUE(Evaluate(SmallModel(), Prompts(6), options, verifier).ok());
    std::vector<std::string> texts;
    for (const auto& question : verifier.asked) texts.push_back(question.response);
    return texts;
  };
  const auto all = responses(0, 1, 64);
  ASSERT_EQ(all.size(), 24u);
  EXPECT_EQ(responses(0, 1, 5), all);
  EXPECT_NE(responses(0, 2, 64), all);
  EXPECT_EQ(responses(2, 1, 64), std::vector<std::string>(all.begin(), all.begin() + 8));
  EXPECT_EQ(std::set<std::string>(all.begin(), all.begin() + 4).size(), 4u)
      << "samples of a prompt differ";
}

TEST(Evaluate, ReportsProgress) {
  TableVerifier verifier(std::vector<std::vector<Verdict::Outcome>>(3, {kYes, kYes}));
  EvalOptions options;
  options.samples = 1;
  int64_t last = 0;
  options.progress = [&](int64_t done, int64_t total) {
    EXPECT_GT(done, last);
    EXPECT_EQ(total, 6);
    last = done;
  };
  ASSERT_TRUE(Evaluate(SmallModel(), Prompts(3), options, verifier).ok());
  EXPECT_EQ(last, 6);
}

TEST(Evaluate, SaysWhatIsWrong) {
  TableVerifier lost({{kLost, kLost}});
  EvalOptions options;
  options.samples = 1;
  const absl::Status status = Evaluate(SmallModel(), Prompts(1), options, lost).status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(status.message(), HasSubstr("table"));
  EXPECT_TRUE(absl::IsInvalidArgument(Evaluate(SmallModel(), {}, options, lost).status()));
  std::vector<Prompt> prompts = Prompts(1);
  prompts[0].messages[0].content.assign(80, 'x');
  EXPECT_THAT(Evaluate(SmallModel(), prompts, options, lost).status().message(), HasSubstr("p0"));
  options.samples = 0;
  EXPECT_THAT(Evaluate(SmallModel(), Prompts(1), options, lost).status().message(),
              HasSubstr("samples"));
}

}  // namespace evaluate_test
}  // namespace ponder::actor

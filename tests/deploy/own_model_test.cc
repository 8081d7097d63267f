// From a checkpoint of the hub to a trained one and back, as a user goes: every command speaks
// through the model's own tokenizer, on-policy is exact, and what comes out has the family's
// layout.
#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/deploy/run_fixture.h"

namespace ponder::deploy {
namespace own_model_test {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::SizeIs;

struct OwnModel {
  const char* like;       // of tests/data/hf
  const char* tokenizer;  // of tests/data/tokenizers
  int64_t vocab_size;
};

std::string Case(const std::string& kind, const std::string& name) {
  return absl::StrCat(PONDER_SOURCE_DIR, "/tests/data/", kind, "/", name);
}

class OwnModelTest : public RunTest, public ::testing::WithParamInterface<OwnModel> {
 protected:
  // A random model of the case's shape, with a larger vocabulary, and a tokenizer.
  void SetUp() override {
    RunTest::SetUp();
    auto config = Json::parse(Read(Case("hf", GetParam().like) + "/config.json"));
    config["vocab_size"] = GetParam().vocab_size;
    Write("like.json", config.dump());
    const Output init = Ponder({"init", "--like", Path("like.json"), "--tokenizer",
                                Case("tokenizers", GetParam().tokenizer), "--out", Path("M")});
    ASSERT_EQ(init.exit_code, 0) << init.text;
  }
  // Tensors of A and B that differ; all are of the same name, type and shape.
  std::set<std::string> Differing(const std::string& a, const std::string& b) {
    const Output diff = Ponder({"checkpoint", "diff", Path(a), Path(b), "--json"});
    EXPECT_EQ(diff.exit_code, 0) << diff.text;
    std::set<std::string> names;
    std::istringstream lines(diff.text);
    for (std::string line; std::getline(lines, line);) {
      const Json json = Json::parse(line);
      EXPECT_FALSE(json.contains("what")) << line;
      EXPECT_GT(json["max_abs"], 0) << line;
      names.insert(json["tensor"].get<std::string>());
    }
    return names;
  }
};

TEST_P(OwnModelTest, TrainsAndComesBackInItsOwnLayout) {
  std::vector<std::string> arguments = RunArguments(
      "R", {"data.max_prompt_tokens=96", "rl.max_response_tokens=16", "rl.wrong_reward=-1",
            "rl.policy_loss=reinforce", "rl.advantage=return", "learner.optimizer.lr=0.01"});
  arguments.insert(arguments.end(), {"--model", Path("M")});
  PonderProcess run(arguments, Path("R.out"));
  ASSERT_EQ(run.Wait(), 0) << Read(Path("R.out"));
  const std::vector<Json> steps = Metrics("R", "rl_step");
  ASSERT_THAT(steps, SizeIs(4));
  for (const Json& step : steps) {
    EXPECT_EQ(step["logprob_gap_max"], 0) << step;
    EXPECT_GT(step["on_policy_tokens"], 0) << step;
  }
  ExpectBooksClosed("R");

  // The text goes with every checkpoint, byte by byte.
  for (const char* folder : {"R/models/final", "R/checkpoints/rl/step-000004"}) {
    for (const char* file : {"tokenizer.json", "tokenizer_config.json"}) {
      EXPECT_EQ(Read(Path(absl::StrCat(folder, "/", file))), Read(Path(absl::StrCat("M/", file))))
          << folder;
    }
  }
  EXPECT_EQ(Read(Path("R/models/final/config.json")), Read(Path("M/config.json")));
  const std::set<std::string> trained = Differing("M", "R/models/final");
  EXPECT_EQ(trained.count("model.embed_tokens.weight"), 1u);
  for (const std::string& name : trained)
    EXPECT_THAT(name, Not(HasSubstr("e_score_correction_bias")));

  const Output answer = Ponder({"generate", "--model", Path("R/models/final"), "--prompt",
                                "12+34=?", "--max-tokens", "8", "--json"});
  ASSERT_EQ(answer.exit_code, 0) << answer.text;
  EXPECT_EQ(Json::parse(answer.text)["ids"].size(), 8u);
  const Output exported = Ponder({"export", "--model", Path("R/models/final"), "--format", "hf",
                                  "--out", Path("E"), "--max-shard-gb", "0.00005"});
  ASSERT_EQ(exported.exit_code, 0) << exported.text;
  EXPECT_TRUE(fs::exists(Path("E/model.safetensors.index.json")));
  EXPECT_TRUE(fs::exists(Path("E/tokenizer.json")));
  EXPECT_THAT(Differing("R/models/final", "E"), SizeIs(0));
}

TEST_P(OwnModelTest, LearnsFromDialoguesInItsOwnTokens) {
  Write("dialogues.jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"1+1?\"}, {\"role\": \"assistant\", "
        "\"content\": \"<think>easy</think>2\"}]}\n");
  const Output sft = Ponder({"sft", "--model", Path("M"), "--data", Path("dialogues.jsonl"),
                             "--out", Path("S"), "--config", Path("small.yaml")});
  ASSERT_EQ(sft.exit_code, 0) << sft.text;
  EXPECT_THAT(Metrics("S", "sft_step"), SizeIs(5));
  EXPECT_TRUE(fs::exists(Path("S/models/final/tokenizer.json")));
  Write("prompts.jsonl", "{\"id\": \"a\", \"prompt\": \"1+1?\", \"gold\": \"2\"}\n");
  const Output eval =
      Ponder({"eval", "--model", Path("S/models/final"), "--prompts", Path("prompts.jsonl"),
              "--samples", "2", "--max-tokens", "8", "--json"});
  ASSERT_EQ(eval.exit_code, 0) << eval.text;
  EXPECT_EQ(Json::parse(eval.text)["prompts"], 1);
}

INSTANTIATE_TEST_SUITE_P(Families, OwnModelTest,
                         ::testing::Values(OwnModel{"qwen3_moe", "qwen2", 1280},
                                           OwnModel{"deepseek_v3", "deepseek3", 1152}),
                         [](const auto& info) { return std::string(info.param.like); });

TEST_F(RunTest, AModelAndATokenizerMustFit) {
  const Output output = Ponder({"init", "--like", Case("hf", "qwen3_moe"), "--tokenizer",
                                Case("tokenizers", "qwen2"), "--out", Path("M")});
  EXPECT_EQ(output.exit_code, 2);
  EXPECT_THAT(output.text, HasSubstr("tokenizer.json"));
  EXPECT_THAT(output.text, HasSubstr("vocab_size"));
  const Output none = Ponder({"generate", "--model", Case("hf", "qwen3_moe"), "--prompt", "x"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.text, HasSubstr("tokenizer.json"));
}

}  // namespace own_model_test
}  // namespace ponder::deploy

// The offline commands as pipelines, from outside, on a model so small that it learns little: SFT,
// then a reward model, rejection sampling and PPO from it; SFT, then DPO; LoRA; judging as a task.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/deploy/run_fixture.h"

namespace ponder::deploy {
namespace pipeline_test {

namespace fs = std::filesystem;

class PipelineTest : public RunTest {
 protected:
  // Expects exit code 0.
  void Run(std::vector<std::string> arguments) {
    const Output output = Ponder(arguments);
    ASSERT_EQ(output.exit_code, 0) << arguments[0] << ": " << output.text;
  }
  // Preferences and dialogues in <folder>/data, a model taught with them in <folder>/SFT.
  void TeachAModel() {
    Run({"data", "make", "--task", "sum3", "--train", "300", "--eval", "20", "--preferences",
         "--out", Path("data")});
    Run({"init", "--config", Path("small.yaml"), "--out", Path("M")});
    Run({"sft", "--config", Path("small.yaml"), "--model", Path("M"), "--data",
         Path("data/dialogues.jsonl"), "--out", Path("SFT"), "--set", "sft.steps=30", "--set",
         "sft.lr=1e-2", "--set", "sft.min_lr=1e-3"});
  }
  std::vector<std::string> PreferenceArguments(const std::string& command, const std::string& out) {
    return {command,
            "--config",
            Path("small.yaml"),
            "--model",
            Path("SFT/models/final"),
            "--data",
            Path("data/preferences.jsonl"),
            "--out",
            Path(out),
            "--set",
            "sft.steps=40",
            "--set",
            "sft.lr=5e-3",
            "--set",
            "sft.min_lr=5e-4"};
  }
  // The mean of a field over the first or last ten of the records.
  double Mean(const std::string& run, const std::string& event, const std::string& field,
              bool first) {
    const std::vector<Json> records = Metrics(run, event);
    EXPECT_GE(records.size(), 20u);
    double sum = 0;
    for (size_t i = 0; i < 10; ++i) {
      sum += records[first ? i : records.size() - 1 - i][field].get<double>() / 10;
    }
    return sum;
  }
};

TEST_F(PipelineTest, RewardModelRejectionSamplingAndPpo) {
  TeachAModel();
  EXPECT_LT(Mean("SFT", "sft_step", "loss", false), 0.8 * Mean("SFT", "sft_step", "loss", true));
  Run(PreferenceArguments("rm", "RM"));
  EXPECT_LT(Mean("RM", "preference_step", "loss", false),
            Mean("RM", "preference_step", "loss", true));
  // Rejection sampling, of a model that knows one answer by heart.
  Write("one.jsonl", R"({"messages": [{"role": "user", "content": "1+1=?"}, )"
                     R"({"role": "assistant", "content": "<think></think>2"}]})"
                     "\n");
  Write("prompts.jsonl", R"({"id": "one", "prompt": "1+1=?", "gold": "2"})");
  Run({"sft", "--config", Path("small.yaml"), "--model", Path("M"), "--data", Path("one.jsonl"),
       "--out", Path("ONE"), "--set", "sft.steps=40", "--set", "sft.lr=1e-2"});
  Run({"reject", "--model", Path("ONE/models/final"), "--prompts", Path("prompts.jsonl"),
       "--samples", "8", "--max-tokens", "16", "--out", Path("correct.jsonl")});
  EXPECT_THAT(Read(Path("correct.jsonl")), ::testing::HasSubstr("<think></think>2"));
  std::vector<std::string> ppo = RunArguments(
      "PPO", {"rl.algorithm=ppo", "rl.value.model=" + Path("RM/models/final"), "rl.steps=2"});
  ppo.insert(ppo.end(), {"--model", Path("SFT/models/final")});
  Run(ppo);
  EXPECT_EQ(Metrics("PPO", "rl_step").size(), 2u);
  // The reward model as a judge of prompts without a right answer, among some with one; it is
  // served by the run itself.
  std::string mixed;
  for (int i = 0; i < 6; ++i) {
    absl::StrAppend(&mixed, R"({"id": "m)", i, R"(", "prompt": "1+)", i, R"(=?", "gold": ")", i + 1,
                    R"(", "source": "checked"})", "\n", R"({"id": "r)", i,
                    R"(", "prompt": "1+1=?", "kind": "reward", "source": "liked"})", "\n");
  }
  Write("mixed.jsonl", mixed);
  std::vector<std::string> liked = RunArguments(
      "LIKED", {"rl.algorithm=ppo", "rl.value.shared_trunk=true", "rl.steps=4",
                "rl.reward.normalise=standardise", "data.prompts=" + Path("mixed.jsonl"),
                "verifier.reward_model=" + Path("RM/models/final")});
  liked.insert(liked.end(), {"--model", Path("ONE/models/final")});  // it ends its thoughts
  Run(liked);
  double scored = 0, preference = 0;
  for (const Json& step : Metrics("LIKED", "rl_step")) {
    EXPECT_EQ(step["dropped_samples"], 0) << step;
    for (const Json& of : step["rewards"]) {
      if (of["source"] != "liked") continue;
      scored += of["samples"].get<double>();
      preference += std::abs(of["preference"].get<double>());
      EXPECT_EQ(of["correctness"], 0) << of;
    }
  }
  EXPECT_GT(scored, 0);
  EXPECT_GT(preference, 0);
  EXPECT_TRUE(fs::exists(Path("PPO/models/final/config.json")));
}

// It judges what follows a thought: of pairs that differ in nothing else it can learn nothing.
TEST_F(PipelineTest, ARewardModelIsTaughtAnswersWithoutThoughts) {
  TeachAModel();
  Write("alike.jsonl", R"({"prompt": "1+1=?", "chosen": "<think>1+1</think>2", )"
                       R"("rejected": "<think>so</think>2"})"
                       "\n");
  std::vector<std::string> arguments = PreferenceArguments("rm", "ALIKE");
  *std::find(arguments.begin(), arguments.end(), Path("data/preferences.jsonl")) =
      Path("alike.jsonl");
  const Output output = Ponder(arguments);
  EXPECT_NE(output.exit_code, 0);
  EXPECT_THAT(output.text, ::testing::HasSubstr("of 1 both responses are alike but for their"));
}

TEST_F(PipelineTest, DpoPrefersTheChosen) {
  TeachAModel();
  Run(PreferenceArguments("dpo", "DPO"));
  const std::vector<Json> steps = Metrics("DPO", "preference_step");
  ASSERT_FALSE(steps.empty());
  EXPECT_NEAR(steps[0]["loss"].get<double>(), 0.6931, 1e-3) << "log 2 at the reference";
  EXPECT_LT(Mean("DPO", "preference_step", "loss", false), 0.69);
  EXPECT_GT(Mean("DPO", "preference_step", "difference", false), 0);
}

TEST_F(PipelineTest, AdaptersAreSavedAsideAndMergedIn) {
  TeachAModel();
  std::vector<std::string> arguments = PreferenceArguments("rm", "RM");
  arguments.insert(arguments.end(), {"--set", "learner.lora.rank=2"});
  Run(arguments);
  const Json config = Json::parse(Read(Path("RM/adapter/adapter_config.json")));
  EXPECT_EQ(config["r"], 2);
  EXPECT_EQ(config["base_model_name_or_path"], Path("SFT/models/final"));
  EXPECT_TRUE(fs::exists(Path("RM/adapter/adapter_model.safetensors")));
  RunToTheEnd("RL", {"base_model=" + Path("SFT/models/final"), "learner.lora.rank=2", "rl.steps=2",
                     "rl.dynamic_sampling=false"});
  EXPECT_TRUE(fs::exists(Path("RL/adapter/adapter_config.json")));
  for (const Json& step : Metrics("RL", "rl_step")) {
    EXPECT_EQ(step["logprob_gap_max"], 0) << "actors run what the learner trains";
  }
}

TEST_F(PipelineTest, AMixtureWithAdaptationAndAJudgeInIt) {
  RunToTheEnd("mixed", {"data.task.mixture=sum3:60,judge.sum3@1-2:40,code@1:20",
                        "data.adapt.on=true", "data.task.eval_size=9", "data.max_prompt_tokens=160",
                        "model.max_position_embeddings=256", "sft.steps=3", "rl.steps=3",
                        "rl.dynamic_sampling=false", "learner.router.balance=sequence",
                        "learner.router.z_coef=1e-3"});
  const std::vector<Json> steps = Metrics("mixed", "rl_step");
  ASSERT_EQ(steps.size(), 3u);
  double share = 0;
  std::vector<std::string> sources;
  for (const Json& domain : steps.back()["domains"]) {
    share += domain["share"].get<double>();
    sources.push_back(domain["source"]);
  }
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_THAT(sources, ::testing::IsSupersetOf({"code", "judge.sum3", "sum3"}));
  EXPECT_GT(steps.back()["router_balance_loss"], 0);
  EXPECT_GT(steps.back()["router_z_loss"], 0);
  const std::vector<Json> evals = Metrics("mixed", "eval");
  ASSERT_FALSE(evals.empty());
  EXPECT_EQ(evals.back()["sources"].size(), 3u);
}

}  // namespace pipeline_test
}  // namespace ponder::deploy

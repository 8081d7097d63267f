// `ponder run` from outside: it trains, it counts every sample once, and whatever is killed, it
// goes on as if nothing had happened (promises 3, 4, 6 and 7).
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/steady_clock.h"
#include "gmock/gmock.h"
#include "tests/deploy/run_fixture.h"

namespace ponder::deploy {
namespace run_test {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(RunTest, TrainsFromNothingToASummary) {
  RunToTheEnd("R");
  const Json summary = Json::parse(Read(Path("R/summary.json")));
  for (const char* key : {"accuracy_before", "accuracy_sft", "accuracy_rl"}) {
    ASSERT_TRUE(summary[key].is_number()) << key;
    EXPECT_GE(summary[key], 0) << key;
    EXPECT_LE(summary[key], 1) << key;
  }
  EXPECT_GT(summary["seconds_sft"], 0);
  EXPECT_GT(summary["seconds_rl"], 0);
  EXPECT_EQ(summary["steps"], 4);
  EXPECT_EQ(summary["samples"], 4 * 4 * 2);
  EXPECT_EQ(summary["model_dir"], Path("R/models/final"));
  EXPECT_TRUE(std::filesystem::exists(Path("R/models/final/model.safetensors")));
  EXPECT_TRUE(std::filesystem::exists(Path("R/config.yaml")));
  ExpectBooksClosed("R");

  EXPECT_THAT(Metrics("R", "sft_step"), SizeIs(5));
  const std::vector<Json> steps = Metrics("R", "rl_step");
  ASSERT_THAT(steps, SizeIs(4));
  for (const Json& step : steps) {
    // Promise 2, end to end: the actor's log-probs are the learner's.
    EXPECT_EQ(step["logprob_gap_max"], 0) << step;
    EXPECT_GT(step["on_policy_tokens"], 0) << step;
  }
  std::map<std::string, int> reached;
  std::string stage;
  for (const Json& record : Metrics("R")) {
    if (record["event"] == "stage_start") stage = record["stage"];
    if (record["event"] != "startup") continue;
    ++reached[record["what"].get<std::string>()];
    EXPECT_EQ(stage, "rl");
  }
  EXPECT_GE(reached["first_rollout_token"], 1);
  EXPECT_EQ(reached["first_update"], 1);
  EXPECT_THAT(Read(Path("R.out")), AllOf(HasSubstr("after RL"), HasSubstr("Try next")));
}

// The samples that each step was trained on, and what came of them. Not those that are leased after
// the last step and dropped at the end: how far they come by then is a race.
constexpr char kTrajectories[] =
    "select prompt_id, sample_index, group_id, trained_step, tokens, outcome from samples "
    "where state = 'trained' order by prompt_id, sample_index";

TEST_F(RunTest, TheSameBitsWhoeverGenerates) {
  RunToTheEnd("one", {"actor.count=1", "actor.max_batch=4", "actor.threads=2"});
  RunToTheEnd("three", {"actor.count=3", "actor.max_batch=64", "actor.threads=1"});
  EXPECT_EQ(Ledger("one", kTrajectories), Ledger("three", kTrajectories));
  EXPECT_TRUE(FinalWeights("one") == FinalWeights("three"));
  RunToTheEnd("replayed", {"rl.routing_replay=rollout"});
  EXPECT_TRUE(FinalWeights("one") == FinalWeights("replayed"));
  for (const Json& step : Metrics("replayed", "rl_step")) EXPECT_EQ(step["rerouted"], 0) << step;
  RunToTheEnd("other", {"seed=2"});
  EXPECT_FALSE(FinalWeights("one") == FinalWeights("other"));
}

TEST_F(RunTest, NarrowWeightsAreAnotherPolicyAndTheGapSaysSo) {
  RunToTheEnd(
      "R", {"actor.weight_dtype=int8", "rl.proximal=recomputed", "rl.ratio_correction=truncate"});
  for (const Json& step : Metrics("R", "rl_step")) {
    EXPECT_GT(step["logprob_gap_max"], 0) << step;
    EXPECT_LT(step["logprob_gap_max"], 1) << step;
  }
}

TEST_F(RunTest, ADeadActorAndADeadVerifierAreReplaced) {
  const std::vector<std::string> longer = {"rl.steps=30"};
  PonderProcess run(RunArguments("R", longer), Path("R.out"));
  WaitForStep("R", run, 3);
  const std::vector<pid_t> actors = run.Children("--name actor.0");
  const std::vector<pid_t> verifiers = run.Children("ponder-verifier");
  ASSERT_THAT(actors, SizeIs(1));
  ASSERT_THAT(verifiers, SizeIs(1));
  kill(actors[0], SIGKILL);
  kill(verifiers[0], SIGKILL);
  ASSERT_EQ(run.Wait(), 0) << Read(Path("R.out"));
  ExpectBooksClosed("R");
  EXPECT_THAT(Metrics("R", "rl_step"), SizeIs(30));
  std::map<std::string, std::string> died;
  for (const Json& record : Metrics("R", "process")) {
    if (record["what"] == "died") died[record["name"]] = record["cause"];
  }
  EXPECT_THAT(died["actor.0"], HasSubstr("SIGKILL"));
  EXPECT_THAT(died["verifier"], HasSubstr("SIGKILL"));
  // Nothing shows in what was learned.
  RunToTheEnd("quiet", longer);
  EXPECT_TRUE(FinalWeights("R") == FinalWeights("quiet"));
}

TEST_F(RunTest, AKilledLearnerGoesOnFromItsCheckpointToTheSameBits) {
  const std::vector<std::string> longer = {"rl.steps=20"};
  {
    PonderProcess run(RunArguments("R", longer), Path("R.out"));
    WaitForStep("R", run, 5);
    const std::vector<pid_t> learner = run.Children("ponder-learner");
    ASSERT_THAT(learner, SizeIs(1));
    kill(learner[0], SIGKILL);
    EXPECT_NE(run.Wait(), 0);
    EXPECT_THAT(Read(Path("R.out")), AllOf(HasSubstr("SIGKILL"), HasSubstr("--resume")));
  }
  const Output resumed = Ponder({"run", "--resume", Path("R")});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.text;
  ExpectBooksClosed("R");
  EXPECT_EQ(Metrics("R", "rl_step").back()["step"], 20);
  RunToTheEnd("quiet", longer);
  EXPECT_TRUE(FinalWeights("R") == FinalWeights("quiet"));
}

TEST_F(RunTest, StopsOnSigtermLeavingNobodyAndResumes) {
  std::vector<pid_t> children;
  {
    PonderProcess run(RunArguments("R", {"rl.steps=20"}), Path("R.out"));
    WaitForStep("R", run, 2);
    children = run.Children();
    EXPECT_THAT(children, SizeIs(4));  // learner, verifier, two actors
    run.Signal(SIGTERM);
    run.Wait();
    EXPECT_THAT(Read(Path("R.out")), HasSubstr("--resume"));
  }
  for (const pid_t child : children) EXPECT_NE(kill(child, 0), 0) << child << " outlived the run";
  const Output resumed = Ponder({"run", "--resume", Path("R")});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.text;
  ExpectBooksClosed("R");
}

TEST_F(RunTest, NobodyOutlivesAKilledRun) {
  std::vector<pid_t> children;
  {
    PonderProcess run(RunArguments("R", {"rl.steps=1000"}), Path("R.out"));
    WaitForStep("R", run, 2);
    children = run.Children();
    run.Signal(SIGKILL);
    run.Wait();
  }
  const absl::Time deadline = SteadyNow() + absl::Seconds(10);
  for (const pid_t child : children) {
    while (std::filesystem::exists(absl::StrCat("/proc/", child, "/exe")) &&
           SteadyNow() < deadline) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    std::error_code gone;
    const auto program = std::filesystem::read_symlink(absl::StrCat("/proc/", child, "/exe"), gone);
    EXPECT_TRUE(gone) << child << " outlived the run: " << program;
  }
}

TEST_F(RunTest, TwoRanksLearnAsOne) {
  const auto losses = [this](const std::string& name) {
    std::vector<double> losses;
    for (const Json& step : Metrics(name, "sft_step")) losses.push_back(step["loss"]);
    return losses;
  };
  RunToTheEnd("one", {"rl.steps=1"});
  for (const char* expert_parallel : {"1", "2"}) {
    const std::string name = absl::StrCat("two.", expert_parallel);
    RunToTheEnd(name, {"rl.steps=1", "learner.ranks=2",
                       absl::StrCat("learner.expert_parallel=", expert_parallel)});
    const std::vector<double> got = losses(name), want = losses("one");
    ASSERT_EQ(got.size(), 5u);
    for (size_t i = 0; i < 5; ++i)
      EXPECT_NEAR(got[i], want[i], 1e-5 * want[i]) << name << ", " << i;
    EXPECT_EQ(Metrics(name, "rl_step")[0]["logprob_gap_max"], 0) << name;
  }
}

TEST_F(RunTest, TrainsOnGsm8ksOwnFile) {
  const std::string file = absl::StrCat(PONDER_SOURCE_DIR, "/tests/data/gsm8k_train_50.jsonl");
  RunToTheEnd("R", {"data.prompts=" + file, "rl.steps=2", "data.max_prompt_tokens=300",
                    "model.max_position_embeddings=400", "eval.max_prompts=2"});
  EXPECT_THAT(Metrics("R", "rl_step"), SizeIs(2));
  ExpectBooksClosed("R");
  const std::vector<Json> dropped = Metrics("R", "prompts_dropped");
  ASSERT_THAT(dropped, SizeIs(1));
  const int64_t count = dropped[0]["count"];
  EXPECT_GT(count, 0);
  EXPECT_LT(count, 50);
  const std::string first = dropped[0]["ids"][0];
  EXPECT_THAT(Read(Path("R.out")),
              AllOf(HasSubstr(absl::StrCat(count, " prompts")), HasSubstr(first)));
}

// What is wrong is said in one line, with what to do, and a non-zero exit.
class RunErrors : public RunTest {
 protected:
  void ExpectRefusal(const std::vector<std::string>& arguments, int exit_code,
                     const std::vector<std::string>& says) {
    const Output output = Ponder(arguments);
    EXPECT_EQ(output.exit_code, exit_code) << output.text;
    std::vector<std::string> lines;
    for (const auto line : absl::StrSplit(output.text, '\n', absl::SkipEmpty())) {
      if (absl::StrContains(line, "ponder run:")) lines.emplace_back(line);
    }
    ASSERT_THAT(lines, SizeIs(1)) << output.text;
    for (const std::string& part : says) EXPECT_THAT(lines[0], HasSubstr(part));
  }
};

TEST_F(RunErrors, BadConfig) {
  Write("typo.yaml", "rl:\n  group_sise: 3\n");
  ExpectRefusal({"run", "--config", Path("typo.yaml"), "--out", Path("R")}, 2,
                {"typo.yaml:2", "group_sise", "group_size"});
  ExpectRefusal({"run", "--config", Path("absent.yaml"), "--out", Path("R")}, 2, {"absent.yaml"});
  ExpectRefusal(RunArguments("R", {"learner.optimizer.lr=-1"}), 2, {"learner.optimizer.lr"});
  EXPECT_FALSE(std::filesystem::exists(Path("R")));
}

TEST_F(RunErrors, BadPrompts) {
  ExpectRefusal(RunArguments("A", {"data.prompts=" + Path("absent.jsonl")}), 1, {"absent.jsonl"});
  Write("broken.jsonl",
        "{\"id\":\"a\",\"kind\":\"math\",\"prompt\":\"1+1\",\"gold\":\"2\"}\n{oops\n");
  ExpectRefusal(RunArguments("B", {"data.prompts=" + Path("broken.jsonl")}), 2, {"broken.jsonl:2"});
}

TEST_F(RunErrors, FoldersThatCannotBeWritten) {
  Write("file", "");
  ExpectRefusal({"run", "--config", Path("small.yaml"), "--out", Path("file/R")}, 1, {"file"});
  std::filesystem::create_directories(Path("used"));
  Write("used/something", "");
  ExpectRefusal(RunArguments("used"), 1, {"used", "--resume"});
  ExpectRefusal({"run", "--resume", Path("nowhere")}, 1, {"nowhere"});
}

TEST_F(RunErrors, APortInUse) {
  // Two runs that want the same port.
  PonderProcess first(RunArguments("first", {"rl.steps=100000", "learner.listen=127.0.0.1:0"}),
                      Path("first.out"));
  WaitForStep("first", first, 1);
  const std::string address(absl::StripSuffix(Read(Path("first/ports/learner")), "\n"));
  ExpectRefusal(RunArguments("second", {"learner.listen=" + address}), 1, {address, "in use"});
}

TEST_F(RunErrors, AFlippedByteInACheckpoint) {
  PonderProcess run(RunArguments("R", {"rl.steps=20"}), Path("R.out"));
  WaitForStep("R", run, 5);
  run.Signal(SIGTERM);
  run.Wait();
  std::string newest;
  for (const auto& entry : std::filesystem::directory_iterator(Path("R/checkpoints/rl"))) {
    newest = std::max(newest, entry.path().string());
  }
  const std::string file = newest + "/model.safetensors";
  std::string bytes = Read(file);
  ASSERT_GT(bytes.size(), 5000u);
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(file, std::ios::binary) << bytes;
  ExpectRefusal({"run", "--resume", Path("R")}, 1, {"model.safetensors"});
}

// Everything in one process.
TEST_F(RunTest, TheLoopbackTrains) {
  const std::string command =
      absl::StrCat(PONDER_BINARY_DIR, "/bin/loopback ", Path("L"), " 2 >", Path("L.out"), " 2>&1");
  ASSERT_EQ(std::system(command.c_str()), 0) << Read(Path("L.out"));
  const std::vector<Json> steps = Metrics("L", "rl_step");
  ASSERT_THAT(steps, SizeIs(2));
  for (const Json& step : steps) EXPECT_EQ(step["logprob_gap_max"], 0);
  ExpectBooksClosed("L");
}

}  // namespace run_test
}  // namespace ponder::deploy

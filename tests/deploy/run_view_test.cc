#include "deploy/run_view.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder::deploy {
namespace run_view_test {

using ::testing::HasSubstr;
using ::testing::Not;

class RunViewTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ponder_run_view_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    options_.metrics_path = folder_ + "/metrics.jsonl";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void Append(const std::string& text) {
    std::ofstream(options_.metrics_path, std::ios::app) << text;
  }

  // What the view adds to the screen by one update.
  std::string Shown() {
    if (view_ == nullptr) view_ = std::make_unique<RunView>(options_, out_);
    out_.str("");
    EXPECT_EQ(view_->Update(), absl::OkStatus());
    return out_.str();
  }

  static std::string RlStep(int step, int steps, double accuracy) {
    return absl::StrFormat(
        R"({"event":"rl_step","step":%d,"steps":%d,"reward":%.3f,"accuracy":%.4f,)"
        R"("response_tokens":38.25,"entropy":0.4567,"kl":0.00123,"clip_fraction":0.0021,)"
        R"("tokens_per_s":9412.7,"logprob_gap_max":2.4e-7,"grad_norm":0.41,"staleness_max":1,)"
        R"("degenerate_groups":3,"seconds":2.0,"time":1})"
        "\n",
        step, steps, 2 * accuracy - 1, accuracy);
  }

  std::string folder_;
  RunView::Options options_;
  std::ostringstream out_;
  std::unique_ptr<RunView> view_;
};

TEST_F(RunViewTest, PlainLinesOfAWholeRun) {
  Append(R"({"event":"stage_start","stage":"sft","steps":40}
)");
  for (int step = 1; step <= 40; ++step) {
    Append(absl::StrFormat(
        R"({"event":"sft_step","step":%d,"loss":%.4f,"lr":0.001,"tokens_per_s":18250,"seconds":0.1})"
        "\n",
        step, 4.0 / step));
  }
  Append(R"({"event":"stage_end","stage":"sft","seconds":41.3}
{"event":"eval","name":"after_sft","accuracy":0.2537,"greedy":0.38,"samples":4,"prompts":200}
{"event":"something_new","x":[1,2]}
{"event":"stage_start","stage":"rl","steps":2,"time":1000.5}
{"event":"startup","what":"first_rollout_token","name":"actor.0","time":1001.34}
)");
  Append(RlStep(1, 2, 0.25));
  Append(
      R"({"event":"process","name":"actor.1","what":"restarted","cause":"actor.1 (pid 42) was killed by SIGKILL"}
{"event":"rl_step","step":2,"steps":2,"reward":null,"accuracy":0.75,"logprob_gap_max":0,"tokens_per_s":1234567,"seconds":75}
{"event":"stage_end","stage":"rl","seconds":3725}
)");
  EXPECT_EQ(Shown(),
            R"(sft: 40 steps
sft      1/40  lr 1.0e-03  loss 4.000  18.2k tok/s
sft      4/40  lr 1.0e-03  loss 1.000  18.2k tok/s
sft      8/40  lr 1.0e-03  loss 0.500  18.2k tok/s
sft     12/40  lr 1.0e-03  loss 0.333  18.2k tok/s
sft     16/40  lr 1.0e-03  loss 0.250  18.2k tok/s
sft     20/40  lr 1.0e-03  loss 0.200  18.2k tok/s
sft     24/40  lr 1.0e-03  loss 0.167  18.2k tok/s
sft     28/40  lr 1.0e-03  loss 0.143  18.2k tok/s
sft     32/40  lr 1.0e-03  loss 0.125  18.2k tok/s
sft     36/40  lr 1.0e-03  loss 0.111  18.2k tok/s
sft     40/40  lr 1.0e-03  loss 0.100  18.2k tok/s
sft: 40 steps in 41.3s, loss 4.000 -> 0.100
held-out after sft: accuracy 25.4%, greedy 38.0% (200 prompts, 4 samples each)
rl: 2 steps
actor.0: first rollout token after 0.8s
     step  reward accuracy length entropy      KL  clip  tok/s  gap max   time   grad stale flat
      1/2  -0.500    25.0%   38.2   0.457  0.0012  0.2%   9.4k  2.4e-07   2.0s   0.41     1    3
actor.1 restarted: (pid 42) was killed by SIGKILL
      2/2       -    75.0%      -       -       -     -   1.2M        0   1:15      -     -    -
rl: 2 steps in 1:02:05, accuracy 25.0% -> 75.0%
)");
}

TEST_F(RunViewTest, ATornLineWaitsForItsEnd) {
  EXPECT_EQ(Shown(), "");  // the log isn't there yet
  Append("{\"event\":\"startup\",\"what\":\"first_up");
  EXPECT_EQ(Shown(), "");
  Append("date\",\"time\":2}");
  EXPECT_EQ(Shown(), "");
  Append("\n{\"event\"");
  EXPECT_EQ(Shown(), "first update after 2.0s\n");
  EXPECT_EQ(Shown(), "");
}

TEST_F(RunViewTest, BeginsWhereItIsTold) {
  Append("{\"event\":\"startup\",\"what\":\"old\",\"time\":1}\n");
  options_.begin = std::filesystem::file_size(options_.metrics_path);
  Append("{\"event\":\"startup\",\"what\":\"new\",\"time\":1}\n");
  EXPECT_EQ(Shown(), "new after 1.0s\n");
}

TEST_F(RunViewTest, WhatIsNotARecordIsNamed) {
  Append("{\"event\":\"startup\",\"what\":\"a\",\"time\":1}\nnonsense\n[1]\n{\"step\":1}\n");
  EXPECT_EQ(Shown(),
            absl::StrCat("a after 1.0s\n", options_.metrics_path, ":2 is not a JSON object\n",
                         options_.metrics_path, ":3 is not a JSON object\n"));
}

TEST_F(RunViewTest, WrongTypesDoNotHurt) {
  Append(R"({"event":"stage_start","stage":7,"steps":"many"}
{"event":"rl_step","step":"one","accuracy":[1],"seconds":"x"}
{"event":"stage_end","stage":null}
{"event":"eval"}
{"event":"process","name":3}
)");
  EXPECT_THAT(Shown(), HasSubstr("accuracy -"));
}

TEST_F(RunViewTest, ControlCharactersStayOut) {
  Append(R"({"event":"process","name":"a","what":"died","cause":"\u001b[2J\r\nwiped"})"
         "\n");
  EXPECT_EQ(Shown(), "a died:  [2J  wiped\n");
}

TEST_F(RunViewTest, TheHeaderComesAgain) {
  for (int step = 1; step <= 41; ++step) Append(RlStep(step, 41, 0.5));
  int headers = 0;
  for (const absl::string_view line : absl::StrSplit(Shown(), '\n')) {
    headers += absl::StrContains(line, "gap max");
  }
  EXPECT_EQ(headers, 3);
}

// What a terminal of `columns` shows: enough of one for "\r", "\x1b[nA" and "\x1b[J".
std::vector<std::string> Screen(const std::string& output) {
  std::vector<std::string> rows = {""};
  for (size_t i = 0; i < output.size(); ++i) {
    if (output[i] == '\n') {
      rows.emplace_back();
    } else if (output.compare(i, 4, "\r\x1b[J") == 0) {
      rows.back().clear();
      i += 3;
    } else {
      rows.back() += output[i];
    }
  }
  return rows;
}

TEST_F(RunViewTest, ABarBelowTheLines) {
  options_.terminal = true;
  options_.width = [] { return 80; };
  Append("{\"event\":\"stage_start\",\"stage\":\"rl\",\"steps\":8}\n");
  std::string output = Shown();
  EXPECT_EQ(Screen(output),
            std::vector<std::string>{"rl  ........................................  0/8"});
  Append(RlStep(1, 8, 0.25));
  output += Shown();
  Append(RlStep(2, 8, 0.5));
  output += Shown();
  const std::vector<std::string> rows = Screen(output);
  ASSERT_EQ(rows.size(), 4u) << output;
  EXPECT_THAT(rows[0], HasSubstr("accuracy"));
  EXPECT_THAT(rows[1], HasSubstr("1/8"));
  EXPECT_THAT(rows[2], HasSubstr("2/8"));
  EXPECT_EQ(rows[3],
            "rl  ==========..............................  2/8  accuracy 50.0%  12.0s left");
  out_.str("");
  view_->Print("stopping");
  EXPECT_THAT(out_.str(), testing::StartsWith("\r\x1b[Jstopping\nrl  ===="));
  Append("{\"event\":\"stage_end\",\"stage\":\"rl\",\"seconds\":16}\n");
  EXPECT_THAT(Shown(), HasSubstr("\r\x1b[Jrl: 2 steps in 16.0s"));
}

TEST_F(RunViewTest, NothingIsWiderThanTheTerminal) {
  options_.terminal = true;
  for (int width = 40; width <= 130; ++width) {
    std::filesystem::remove(options_.metrics_path);
    options_.width = [width] { return width; };
    view_.reset();
    std::string output = Shown();
    Append("{\"event\":\"stage_start\",\"stage\":\"rl\",\"steps\":100}\n");
    output += Shown();
    Append(RlStep(99, 100, 0.5));
    output += Shown();
    const std::vector<std::string> rows = Screen(output);
    ASSERT_EQ(rows.size(), 3u) << output;
    for (const std::string& row : rows) {
      EXPECT_LE(static_cast<int>(row.size()), width) << row;
    }
    EXPECT_LT(static_cast<int>(rows.back().size()), width);
    EXPECT_THAT(rows[1], HasSubstr("50.0%"));
    // The table has 96 columns.
    EXPECT_EQ(absl::StrContains(rows[0], "flat"), width >= 96) << width;
  }
}

TEST_F(RunViewTest, ANarrowedTerminalIsCleanedUp) {
  options_.terminal = true;
  int width = 80;
  options_.width = [&width] { return width; };
  Append("{\"event\":\"stage_start\",\"stage\":\"sft\",\"steps\":400}\n");
  const size_t bar = Shown().size();
  ASSERT_GT(bar, 40u);
  width = 20;  // the terminal has broken the bar into rows of 20
  Append("{\"event\":\"sft_step\",\"step\":1,\"loss\":1,\"tokens_per_s\":1,\"time\":1}\n");
  EXPECT_THAT(Shown(), HasSubstr(absl::StrCat("\r\x1b[", (bar + 19) / 20 - 1, "A\x1b[J")));
}

TEST_F(RunViewTest, ColourOnlyWhenAsked) {
  Append("{\"event\":\"eval\",\"name\":\"after_rl\",\"accuracy\":1}\n");
  EXPECT_THAT(Shown(), Not(HasSubstr("\x1b")));
  view_.reset();
  options_.colour = true;
  EXPECT_THAT(Shown(), HasSubstr("\x1b[32maccuracy 100.0%\x1b[0m"));
}

}  // namespace run_view_test
}  // namespace ponder::deploy

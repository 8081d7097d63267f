// `ponder init`, `generate` and `eval` from outside, as a user runs them.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {
namespace model_commands_test {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

struct Output {
  int exit_code = 0;
  std::string out, err;
};

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

class ModelCommandsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(::testing::TempDir(), "ponder_commands.", getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    // Small, so that a random model answers in no time.
    Write("small.yaml",
          "model:\n  hidden_size: 16\n  num_hidden_layers: 1\n  moe_intermediate_size: 8\n"
          "  max_position_embeddings: 64\ndata:\n  max_prompt_tokens: 32\nrl:\n  "
          "max_response_tokens: 32\n");
    const Output init = Ponder("init --config small.yaml --out M --seed 3");
    ASSERT_EQ(init.exit_code, 0) << init.err;
    EXPECT_THAT(init.out, HasSubstr("parameters"));
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Runs `ponder <arguments>` in the test's folder.
  Output Ponder(const std::string& arguments, const std::string& out = "out") {
    const std::string command = absl::StrCat("cd ", folder_, " && ", PONDER_BINARY_DIR,
                                             "/bin/ponder ", arguments, " >", out, " 2>err");
    const int status = std::system(command.c_str());
    Output output;
    output.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    output.out = Read(folder_ + "/out");
    output.err = Read(folder_ + "/err");
    return output;
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }
  // One line on stderr that begins with the command's name.
  static void ExpectOneLineError(const Output& output, int exit_code, const std::string& about) {
    EXPECT_EQ(output.exit_code, exit_code) << output.err;
    EXPECT_THAT(output.err, MatchesRegex("ponder[^\n]*\n"));
    EXPECT_THAT(output.err, HasSubstr(about));
  }

  std::string folder_;
};

TEST_F(ModelCommandsTest, InitIsAPureFunctionOfConfigAndSeed) {
  ASSERT_EQ(Ponder("init --config small.yaml --out again --seed 3").exit_code, 0);
  EXPECT_EQ(Read(folder_ + "/again/model.safetensors"), Read(folder_ + "/M/model.safetensors"));
  ASSERT_EQ(Ponder("init --config small.yaml --out other --seed 4").exit_code, 0);
  EXPECT_NE(Read(folder_ + "/other/model.safetensors"), Read(folder_ + "/M/model.safetensors"));
}

TEST_F(ModelCommandsTest, GenerateGivesTextIdsAndLogprobs) {
  const Output output = Ponder("generate --model M --prompt hello --seed 5 --max-tokens 12 --json");
  ASSERT_EQ(output.exit_code, 0) << output.err;
  const auto json = nlohmann::json::parse(output.out);
  ASSERT_EQ(json.size(), 3u);
  EXPECT_TRUE(json["text"].is_string());
  ASSERT_LE(json["ids"].size(), 12u);
  ASSERT_EQ(json["ids"].size(), json["logprobs"].size());
  for (const auto& logprob : json["logprobs"]) EXPECT_LT(logprob.get<double>(), 0);
  EXPECT_EQ(
      Ponder("generate --model M --prompt hello --seed 5 --max-tokens 12 --json --threads 2").out,
      output.out);
  EXPECT_NE(Ponder("generate --model M --prompt hello --seed 6 --max-tokens 12 --json").out,
            output.out);
}

TEST_F(ModelCommandsTest, TheStreamIsTheText) {
  const std::string flags = "generate --model M --prompt hello --seed 5 --max-tokens 20";
  const auto json = nlohmann::json::parse(Ponder(flags + " --json").out);
  std::string bytes;  // what of the ids are bytes; special tokens come as their names
  const std::string streamed = Ponder(flags).out;
  size_t at = 0;
  for (int id : json["ids"]) {
    if (id > 255) continue;
    at = streamed.find(static_cast<char>(id), at);
    ASSERT_NE(at, std::string::npos) << "byte " << id << " is missing from the stream";
    ++at;
  }
  EXPECT_EQ(streamed.back(), '\n');
}

TEST_F(ModelCommandsTest, EvalStartsItsOwnVerifierAndReports) {
  Write("prompts.jsonl",
        "{\"id\": \"a\", \"prompt\": \"1+1=?\", \"gold\": \"2\"}\n{\"id\": \"b\", \"prompt\": "
        "\"2+2=?\", \"gold\": \"4\"}\n"
        "{\"id\": \"c\", \"prompt\": \"" +
            std::string(100, 'x') + "\", \"gold\": \"4\"}\n");
  const Output output =
      Ponder("eval --model M --prompts prompts.jsonl --samples 3 --max-tokens 8 --json");
  ASSERT_EQ(output.exit_code, 0) << output.err;
  EXPECT_THAT(output.err, HasSubstr("left out 1 prompts"));
  const auto json = nlohmann::json::parse(output.out);
  EXPECT_EQ(json["prompts"], 2);
  EXPECT_EQ(json["k"], 3);
  EXPECT_EQ(json["errors"], 0);
  for (const char* key : {"avg_at_k", "pass_at_k", "greedy_accuracy"}) {
    const double value = json[key], low = json[absl::StrCat(key, "_interval")][0],
                 high = json[absl::StrCat(key, "_interval")][1];
    EXPECT_TRUE(0 <= low && low <= value && value <= high && high <= 1) << key;
  }
  const Output text = Ponder("eval --model M --prompts prompts.jsonl --samples 3 --max-tokens 8");
  EXPECT_THAT(text.out, HasSubstr("avg@3"));
  EXPECT_THAT(text.out, HasSubstr("pass@3"));
  EXPECT_THAT(text.out, HasSubstr("greedy"));
}

TEST_F(ModelCommandsTest, ErrorsAreOneLineThatSaysWhatToDo) {
  Write("prompts.jsonl", "{\"id\": \"a\", \"prompt\": \"1+1=?\", \"gold\": \"2\"}\n");
  Write("broken.jsonl", "{\"id\": \"a\", \"prompt\": \"1+1=?\", \"gold\": \"2\"}\n{\"id\": \n");
  Write("bad.yaml", "model:\n  hiden_size: 16\n");
  ExpectOneLineError(Ponder("generate --model nowhere --prompt x"), 1, "nowhere/config.json");
  ExpectOneLineError(Ponder("generate --model M --prompt x --max-tokens 600"), 2, "--max-tokens");
  ExpectOneLineError(Ponder("generate --model M --prompt " + std::string(80, 'x')), 2, "--prompt");
  ExpectOneLineError(Ponder("generate --model M --prompt x --temperature -1"), 2, "temperature");
  ExpectOneLineError(Ponder("generate --model M"), 2, "--prompt");
  ExpectOneLineError(Ponder("generate --model M --prompt x --frobnicate"), 2, "--frobnicate");
  ExpectOneLineError(Ponder("init --config nowhere.yaml --out z"), 2, "nowhere.yaml");
  ExpectOneLineError(Ponder("init --config bad.yaml --out z"), 2, "hidden_size");
  ExpectOneLineError(Ponder("init --out prompts.jsonl"), 1, "prompts.jsonl");
  ExpectOneLineError(Ponder("init --out /proc/nowhere/z"), 1, "/proc/nowhere/z");
  ExpectOneLineError(Ponder("eval --model M --prompts nowhere.jsonl"), 1, "nowhere.jsonl");
  ExpectOneLineError(Ponder("eval --model M --prompts broken.jsonl"), 2, "broken.jsonl:2");
  ExpectOneLineError(Ponder("eval --model M --prompts prompts.jsonl --samples 0"), 2, "--samples");
  ExpectOneLineError(Ponder("eval --model M --prompts prompts.jsonl --verifier 127.0.0.1:1"), 1,
                     "127.0.0.1:1");
  ExpectOneLineError(Ponder("unknown"), 2, "unknown");
  ExpectOneLineError(Ponder("generate --model M --prompt x --max-tokens 3", "/dev/full"), 1,
                     "No space left");
}

TEST_F(ModelCommandsTest, AFlippedByteIsNamed) {
  for (const char* name : {"config.json", "model.safetensors", "checksums.json"}) {
    const std::string path = absl::StrCat(folder_, "/M/", name);
    const std::string good = Read(path);
    std::string bad = good;
    bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 4);
    std::ofstream(path, std::ios::binary) << bad;
    ExpectOneLineError(Ponder("generate --model M --prompt x"), 1, name);
    std::ofstream(path, std::ios::binary) << good;
  }
  EXPECT_EQ(Ponder("generate --model M --prompt x --max-tokens 3").exit_code, 0);
}

}  // namespace model_commands_test
}  // namespace ponder::deploy

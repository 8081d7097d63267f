// `ponder export`, judged by the real llama.cpp: it loads the file, cuts text into the same tokens
// and goes on with the same ones. Skipped where npm cannot fetch llama.cpp.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actor/engine/engine.h"
#include "data/tokenizer.h"
#include "data/tokenizers/tokenizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "moe/checkpoint.h"

namespace ponder::deploy {
namespace export_test {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr int64_t kNewTokens = 24;

const char* const kPrompts[] = {
    "Hello, world",
    "1+2+3=",
    "12+34+56=<think>",
    "<think>carry the one</think>",
    "The quick brown fox jumps over the lazy dog.",
    "na\xc3\xafve caf\xc3\xa9, 10 \xe2\x82\xac",
    "\xe6\x95\xb0\xe5\xad\xa6\xe9\xa2\x98",
    "tabs\tand  double  spaces ",
    " leading space",
    "x",
    "it's we'll they've",
    "f(x) = x^2 + 3x - 7",
    "int main() { return 0; }",
    "{\"json\": [1, 2.5, null]}",
    "<eo",
    "0123456789012345678901234567890123456789",
    "\xf0\x9f\x99\x82 smile",
    "A. one B. two C. three",
    "UPPER lower MiXeD",
    "\\frac{1}{2} \\cdot \\sqrt{3}",
};

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::vector<int32_t> Ids(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<int32_t>(in), {}};
}

class ExportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(::testing::TempDir(), "ponder_export.", getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Exit code of a command run in the test's folder; its output is in the files out and err.
  int Run(const std::string& command) {
    const int status =
        std::system(absl::StrCat("cd ", folder_, " && ", command, " >out 2>err").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int Ponder(const std::string& arguments) {
    return Run(absl::StrCat(PONDER_BINARY_DIR, "/bin/ponder ", arguments));
  }
  std::string Err() const { return Read(folder_ + "/err"); }

  // Lines of token ids: of each prompt, what llama.cpp makes of it and how it goes on.
  void AskLlama(const std::string& gguf, std::vector<std::vector<int32_t>>* lines) {
    if (Run(absl::StrCat(PONDER_SOURCE_DIR, "/bench/llamacpp/install.sh ", PONDER_BINARY_DIR,
                         "/llamacpp")) != 0) {
      GTEST_SKIP() << "llama.cpp cannot be fetched with npm: " << Err();
    }
    std::string libraries = Read(folder_ + "/out");
    libraries.pop_back();
    std::ofstream prompts(folder_ + "/prompts");
    for (const char* prompt : kPrompts) prompts << prompt << "\n";
    prompts.close();
    ASSERT_EQ(Run(absl::StrCat("timeout 120 ", PONDER_BINARY_DIR, "/bin/llamacpp_peer continue ",
                               libraries, " ", gguf, " ", kNewTokens, " <prompts")),
              0)
        << Err();
    std::istringstream out(Read(folder_ + "/out"));
    for (std::string line; std::getline(out, line);) lines->push_back(Ids(line));
    ASSERT_EQ(lines->size(), 2 * std::size(kPrompts));
  }

  // The shape of `init`, with another vocabulary.
  void MakeModel(const std::string& name, int64_t vocab_size) {
    ASSERT_EQ(Ponder("init --out shape --set model.initializer_range=0.1"), 0) << Err();
    moe::ModelConfig config = moe::LoadModel(folder_ + "/shape")->config;
    config.vocab_size = vocab_size;
    config.source_json.clear();
    const absl::Status saved =
        moe::SaveModel(folder_ + "/" + name, {config, moe::InitWeights(config, /*seed=*/3)});
    ASSERT_TRUE(saved.ok()) << saved;
  }

  std::vector<int32_t> OurContinuation(const std::vector<int32_t>& prompt) {
    const auto model = moe::LoadModel(folder_ + "/M");
    actor::Engine::Options options;
    options.kv_cache_mib = actor::Engine::LeastKvCacheMib(model->config);
    auto engine = actor::Engine::Make(options, *model, 0).value();
    actor::Engine::Request request;
    request.key = {"prompt", 0};
    request.prompt_tokens = prompt;
    request.max_new_tokens = kNewTokens;
    request.sampling.temperature = 0;
    request.eos_tokens = {};  // llama.cpp is not asked to stop either
    return actor::GenerateAll(*engine, {request}).value()[0].tokens;
  }

  std::string folder_;
};

// The quickstart's shape, with weights large enough that attention and experts have a say.
TEST_F(ExportTest, LlamaCppGoesOnWithOurTokens) {
  for (const char* tied : {"false", "true"}) {
    ASSERT_EQ(Ponder(absl::StrCat("init --out M --set model.initializer_range=0.1 "
                                  "--set model.tie_word_embeddings=",
                                  tied)),
              0)
        << Err();
    ASSERT_EQ(Ponder("export --model M --format gguf --out m.gguf"), 0) << Err();
    std::vector<std::vector<int32_t>> lines;
    AskLlama("m.gguf", &lines);
    if (IsSkipped() || HasFatalFailure()) return;
    for (size_t i = 0; i < std::size(kPrompts); ++i) {
      const auto prompt = data::ByteTokenizer::Encode(kPrompts[i], /*parse_special=*/true);
      EXPECT_EQ(lines[2 * i], prompt) << kPrompts[i];
      EXPECT_EQ(lines[2 * i + 1], OurContinuation(prompt)) << kPrompts[i];
    }
  }
}

TEST_F(ExportTest, LlamaCppCutsTextAsTheModelsOwnTokenizerDoes) {
  for (const char* name : {"qwen2", "llama3", "gpt2", "deepseek3", "llama2_spm", "sentencepiece"}) {
    MakeModel("M", 1500);
    const std::string tokenizer = absl::StrCat(PONDER_SOURCE_DIR, "/tests/data/tokenizers/", name);
    for (const char* file : {"/tokenizer.json", "/tokenizer.model"})
      if (fs::exists(tokenizer + file)) fs::copy(tokenizer + file, folder_ + "/M" + file);
    ASSERT_EQ(Ponder("export --model M --format gguf --out m.gguf"), 0) << name << ": " << Err();
    std::vector<std::vector<int32_t>> lines;
    AskLlama("m.gguf", &lines);
    if (IsSkipped() || HasFatalFailure()) return;
    const auto ours = data::LoadTokenizer(folder_ + "/M");
    ASSERT_TRUE(ours.ok()) << ours.status();
    for (size_t i = 0; i < std::size(kPrompts); ++i) {
      const std::vector<int32_t> prompt = *(*ours)->Encode(kPrompts[i], /*add_special=*/false);
      EXPECT_EQ(lines[2 * i], prompt) << name << ": " << kPrompts[i];
      if (i < 3)
        EXPECT_EQ(lines[2 * i + 1], OurContinuation(prompt)) << name << ": " << kPrompts[i];
    }
    fs::remove_all(folder_ + "/M");
  }
}

TEST_F(ExportTest, LlamaCppLoadsTheNarrowTypes) {
  ASSERT_EQ(Ponder("init --out M --set model.initializer_range=0.1"), 0) << Err();
  for (const char* dtype : {"f16", "bf16", "q8_0"}) {
    ASSERT_EQ(Ponder(absl::StrCat("export --model M --format gguf --out m.gguf --dtype ", dtype)),
              0)
        << Err();
    std::vector<std::vector<int32_t>> lines;
    AskLlama("m.gguf", &lines);
    if (IsSkipped() || HasFatalFailure()) return;
    // Rounded weights: most prompts go on alike, at least for a token.
    size_t alike = 0;
    for (size_t i = 0; i < std::size(kPrompts); ++i) {
      alike += OurContinuation(lines[2 * i])[0] == lines[2 * i + 1][0];
    }
    EXPECT_GE(alike, std::size(kPrompts) * 3 / 4) << dtype;
  }
}

TEST_F(ExportTest, HuggingFaceFoldersSayTheirType) {
  ASSERT_EQ(Ponder("init --out M"), 0) << Err();
  ASSERT_EQ(Ponder("export --model M --format hf --out H --dtype bf16"), 0) << Err();
  EXPECT_THAT(Read(folder_ + "/H/config.json"), HasSubstr("\"torch_dtype\": \"bfloat16\""));
  EXPECT_THAT(Read(folder_ + "/H/model.safetensors").substr(0, 400), HasSubstr("\"BF16\""));
  EXPECT_LT(fs::file_size(folder_ + "/H/model.safetensors"),
            fs::file_size(folder_ + "/M/model.safetensors") * 6 / 10);
  ASSERT_EQ(Ponder("export --model M --format hf --out F"), 0) << Err();
  EXPECT_EQ(Read(folder_ + "/F/model.safetensors"), Read(folder_ + "/M/model.safetensors"));
}

TEST_F(ExportTest, RefusesWhatTheFormatCannotSay) {
  ASSERT_EQ(Ponder("init --out M --set model.scoring_func=sigmoid"), 0) << Err();
  EXPECT_EQ(Ponder("export --model M --format gguf --out m.gguf"), 2);
  EXPECT_THAT(Err(), HasSubstr("scoring_func"));
  MakeModel("T", 1500);
  const std::string tokenizers = absl::StrCat(PONDER_SOURCE_DIR, "/tests/data/tokenizers/");
  fs::copy(tokenizers + "mixtral_metaspace/tokenizer.json", folder_ + "/T/tokenizer.json");
  EXPECT_EQ(Ponder("export --model T --format gguf --out m.gguf"), 1);
  EXPECT_THAT(Err(), HasSubstr("normalizer"));
  ASSERT_EQ(Ponder("init --out M --set model.hidden_size=48"), 0) << Err();
  EXPECT_EQ(Ponder("export --model M --format gguf --out m.gguf --dtype q8_0"), 2);
  EXPECT_THAT(Err(), HasSubstr("blocks of 32"));
  EXPECT_EQ(Ponder("export --model M --format gguf --out m.gguf --dtype q4"), 2);
  EXPECT_THAT(Err(), HasSubstr("q8_0"));
  EXPECT_EQ(Ponder("export --model M --format gguf --out nowhere/m.gguf"), 1);
  EXPECT_THAT(Err(), HasSubstr("nowhere/m.gguf"));
  EXPECT_FALSE(fs::exists(folder_ + "/m.gguf"));
}

}  // namespace export_test
}  // namespace ponder::deploy

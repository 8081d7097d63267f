// How a model's folder reads and writes: through its tokenizer, template, tags and ends.
#include "data/model_text.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "data/tokenizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ponder::data {
namespace model_text_test {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Case(const std::string& name) {
  return std::string(PONDER_SOURCE_DIR) + "/tests/data/tokenizers/" + name;
}

class ModelTextTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(::testing::TempDir(), "model_text.", getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  // A folder with the text files of a case and these as well.
  std::string Folder(const std::string& name,
                     const std::vector<std::pair<std::string, std::string>>& files = {}) {
    const std::string folder = absl::StrCat(folder_, "/", count_++);
    fs::create_directories(folder);
    for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
      fs::copy_file(absl::StrCat(Case(name), "/", file), absl::StrCat(folder, "/", file));
    for (const auto& [file, text] : files) std::ofstream(absl::StrCat(folder, "/", file)) << text;
    return folder;
  }
  std::string folder_;
  int count_ = 0;
};

std::shared_ptr<const ModelText> Load(const std::string& folder,
                                      const ModelTextOptions& options = {}) {
  auto text = LoadModelText(folder, options);
  EXPECT_TRUE(text.ok()) << text.status();
  return *text;
}

std::vector<int32_t> Ids(absl::StatusOr<std::vector<int32_t>> ids) {
  EXPECT_TRUE(ids.ok()) << ids.status();
  return *std::move(ids);
}

TEST_F(ModelTextTest, APromptIsTheTemplatesTextInTheModelsTokens) {
  const auto text = Load(Folder("qwen2"));
  const auto ids = Ids(text->EncodeChat({{"user", "Hi"}}, "Be brief."));
  EXPECT_THAT(text->ResponseText(ids),
              HasSubstr("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                        "<|im_start|>assistant\n"));
  EXPECT_EQ(ids, Ids(text->EncodeText(text->ResponseText(ids)))) << "control tokens are tokens";
  const auto own = Ids(text->EncodeChat({{"system", "Mine."}, {"user", "Hi"}}, "Be brief."));
  EXPECT_THAT(text->ResponseText(own), HasSubstr("Mine."));
  EXPECT_THAT(text->ResponseText(own), Not(HasSubstr("brief")));
}

TEST_F(ModelTextTest, EndsComeFromGenerationConfigElseConfigAndTheTokenizer) {
  const std::string config = "{\"eos_token_id\": [7, 9]}";
  const auto plain = Load(Folder("qwen2", {{"config.json", config}}));
  ASSERT_EQ(plain->eos_tokens().size(), 3u);
  EXPECT_THAT(absl::MakeConstSpan(plain->eos_tokens()).subspan(0, 2), ElementsAre(7, 9));
  EXPECT_EQ(plain->TokenName(plain->eos_tokens()[2]), "<|im_end|>");
  EXPECT_EQ(plain->TokenBytes(plain->eos_tokens()[2]), "");
  const auto given = Load(Folder(
      "qwen2", {{"config.json", config}, {"generation_config.json", "{\"eos_token_id\": 11}"}}));
  EXPECT_EQ(given->eos_tokens().front(), 11);
  EXPECT_EQ(given->eos_tokens().size(), 2u);
  for (const char* bad : {"{\"eos_token_id\": -2}", "{\"eos_token_id\": [\"x\"]}", "{"}) {
    const auto broken = LoadModelText(Folder("qwen2", {{"generation_config.json", bad}}));
    EXPECT_THAT(broken.status().message(), HasSubstr("generation_config.json")) << bad;
  }
}

TEST_F(ModelTextTest, ATraceIsWhatTheModelIsShownToSay) {
  const auto text = Load(Folder("qwen2"));
  const auto ids = Ids(text->EncodeTrace("1+1 is 2", "2"));
  EXPECT_EQ(text->ResponseText(ids), "<think>\n1+1 is 2\n</think>\n\n2");
  EXPECT_EQ(text->TokenName(ids.back()), "<|im_end|>");
  EXPECT_EQ(ids.front(), text->think_open());
  EXPECT_EQ(text->TokenBytes(text->think_open()), "");
  EXPECT_EQ(text->ResponseText(Ids(text->EncodeTrace("", "2"))), "2");
}

TEST_F(ModelTextTest, AThoughtThatThePromptOpensIsThere) {
  const std::string jinja = folder_ + "/opens.jinja";
  std::ofstream(jinja) << "{{ messages[0].content }}<think>\n";
  ModelTextOptions options;
  options.chat_template = jinja;
  const std::string folder = Folder("deepseek3");
  const auto text = Load(folder, options);
  EXPECT_TRUE(text->prompt_opens_thought());
  EXPECT_EQ(text->ResponseText(Ids(text->EncodeTrace("hm", "2"))), "<think>hm\n</think>\n\n2");
  const auto files = ModelTextFiles(folder, options);
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->at("chat_template.jinja"), "{{ messages[0].content }}<think>\n");
  EXPECT_EQ(files->count("tokenizer.json"), 1u);
}

TEST_F(ModelTextTest, ConfiguredTagsAreShownAsThoughts) {
  ModelTextOptions options;
  options.think_open = "[reasoning]";
  options.think_close = "[/reasoning]";
  const auto text = Load(Folder("qwen2"), options);
  EXPECT_EQ(text->think_open(), -1) << "no token of its own";
  EXPECT_EQ(text->ResponseText(Ids(text->EncodeTrace("hm", "2"))), "<think>\nhm\n</think>\n\n2");
}

TEST_F(ModelTextTest, TokensOneByOneAreTheTextOfAll) {
  const std::string sample = "Zwölf Boxkämpfer, 12 + 34 = 46 \xF0\x9F\x98\x80!\n";
  for (const char* name :
       {"qwen2", "gpt2", "llama3", "deepseek3", "llama2_spm", "mixtral_metaspace"}) {
    const auto text = Load(Folder(name));
    std::string bytes;
    const std::vector<int32_t> ids = Ids(text->EncodeText(sample));
    for (const int32_t id : ids) bytes += text->TokenBytes(id);
    if (bytes.front() == ' ') bytes.erase(0, 1);  // SentencePiece's own
    EXPECT_EQ(bytes, sample) << name;
  }
}

TEST_F(ModelTextTest, SaysWhatIsMissing) {
  const auto text = Load(Folder("gpt2"));
  const absl::Status status = text->EncodeChat({{"user", "Hi"}}, "").status();
  EXPECT_THAT(status.message(), HasSubstr("chat template"));
  EXPECT_TRUE(text->EncodeText("Hi").ok());
  EXPECT_THAT(
      LoadModelText(Folder("llama3", {{"chat_template.jinja", "{% if %}"}})).status().message(),
      HasSubstr("chat_template.jinja:1"));
}

TEST_F(ModelTextTest, AFolderWithoutATokenizerSpeaksBytes) {
  const auto text = Load(folder_);
  EXPECT_EQ(text, ByteText());
  using T = ByteTokenizer;
  EXPECT_EQ(text->ResponseText({T::kThink, 'a', T::kEndThink, 'b', T::kEos}), "<think>a</think>b");
  EXPECT_EQ(text->ResponseText({'a', 'b'}), "ab");
  EXPECT_EQ(text->ResponseText({}), "");
  EXPECT_EQ(text->TokenBytes(T::kThink), "");
  EXPECT_EQ(text->TokenName(T::kThink), "<think>");
}

}  // namespace model_text_test
}  // namespace ponder::data

// Every tokenizer against what the Rust library `tokenizers` or SentencePiece's makes of the same
// file and texts; hostile files; text that comes token by token.
#include "data/tokenizer.h"

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/atomic_file.h"
#include "data/tokenizers/json_tokenizer.h"
#include "data/tokenizers/sentencepiece_model.h"
#include "data/tokenizers/tokenizer.h"
#include "data/tokenizers/unicode_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace tokenizer_test {

using Ids = std::vector<int32_t>;
using Json = nlohmann::json;

std::string CaseFolder(const std::string& name) {
  return std::string(PONDER_SOURCE_DIR) + "/tests/data/tokenizers/" + name;
}

std::string ReadAll(const std::string& path) {
  auto text = ReadFile(path);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

std::vector<Json> ReadLines(const std::string& path) {
  std::vector<Json> lines;
  for (const absl::string_view line : absl::StrSplit(ReadAll(path), '\n', absl::SkipEmpty()))
    lines.push_back(Json::parse(line));
  EXPECT_GT(lines.size(), 50u) << path;
  return lines;
}

std::string Streamed(const Tokenizer& tokenizer, const Ids& ids, bool skip_special) {
  const auto stream = tokenizer.MakeDetokenizer(skip_special);
  std::string text;
  for (const int32_t id : ids) {
    const std::string piece = stream->Push(id);
    EXPECT_TRUE(IsValidUtf8(piece)) << "a piece ends inside a character";
    text += piece;
  }
  return text + stream->Finish();
}

// With ids that the vocabulary doesn't have among them.
void ExpectRandomIdsToStreamAsTheyDecode(const Tokenizer& tokenizer) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    Ids ids(random() % 30);
    for (int32_t& id : ids)
      id = static_cast<int32_t>(random() % static_cast<uint64_t>(tokenizer.vocab_size() + 3)) - 1;
    for (const bool skip : {false, true}) {
      const std::string text = tokenizer.Decode(ids, skip);
      EXPECT_TRUE(IsValidUtf8(text));
      EXPECT_EQ(Streamed(tokenizer, ids, skip), text) << Json(ids);
    }
  }
}

class TokenizerCase : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto loaded = LoadTokenizer(CaseFolder(GetParam()));
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    tokenizer_ = *loaded;
  }
  std::shared_ptr<const Tokenizer> tokenizer_;
};

TEST_P(TokenizerCase, EncodesAsTheRustLibrary) {
  for (const Json& line : ReadLines(CaseFolder(GetParam()) + "/encode.jsonl")) {
    const auto text = line["text"].get<std::string>();
    const auto ids = tokenizer_->Encode(text, false);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(*ids, line["ids"].get<Ids>()) << line["text"];
    EXPECT_EQ(*tokenizer_->Encode(text, true), line["ids_special"].get<Ids>()) << line["text"];
    EXPECT_EQ(*tokenizer_->Encode(text, false), *ids) << "the cache changes " << line["text"];
  }
}

TEST_P(TokenizerCase, DecodesAsTheRustLibraryWholeAndTokenByToken) {
  for (const char* file : {"/encode.jsonl", "/decode.jsonl"}) {
    for (const Json& line : ReadLines(CaseFolder(GetParam()) + file)) {
      const Ids ids = line["ids"].get<Ids>();
      const auto kept = line["decoded"].get<std::string>();
      const auto skipped = line["decoded_skip_special"].get<std::string>();
      EXPECT_EQ(tokenizer_->Decode(ids, false), kept) << line["ids"];
      EXPECT_EQ(tokenizer_->Decode(ids, true), skipped) << line["ids"];
      EXPECT_EQ(Streamed(*tokenizer_, ids, false), kept) << line["ids"];
      EXPECT_EQ(Streamed(*tokenizer_, ids, true), skipped) << line["ids"];
    }
  }
}

TEST_P(TokenizerCase, RandomIdsStreamToWhatTheyDecodeTo) {
  ExpectRandomIdsToStreamAsTheyDecode(*tokenizer_);
}

TEST_P(TokenizerCase, BrokenUtf8CountsAsTheReplacementCharacter) {
  EXPECT_EQ(*tokenizer_->Encode("a\xE4\xBD z\xFF", false),
            *tokenizer_->Encode("a\xEF\xBF\xBD z\xEF\xBF\xBD", false));
}

INSTANTIATE_TEST_SUITE_P(Goldens, TokenizerCase,
                         testing::Values("qwen2", "llama3", "gpt2", "deepseek3", "llama2_spm",
                                         "mixtral_metaspace"),
                         [](const auto& test) { return std::string(test.param); });

// A change to a good file, and what the error must name.
struct Hostile {
  const char* pointer;  // JSON pointer of what is replaced
  const char* value;
  const char* named;
};

TEST(HostileTokenizer, EachIsOneLineThatNamesFileAndKey) {
  const Json good = Json::parse(ReadAll(CaseFolder("llama3") + "/tokenizer.json"));
  const Hostile cases[] = {
      {"/model/vocab/the", "-1", "model.vocab gives \"the\""},
      {"/model/vocab/the", "4000000000", "model.vocab gives \"the\""},
      {"/model/vocab/the", "18446744073709551615", "model.vocab gives \"the\""},
      {"/model/vocab/the", "1.5", "model.vocab gives \"the\""},
      {"/model/vocab/the", "\"7\"", "model.vocab gives \"the\""},
      {"/model/vocab", "[]", "model.vocab"},
      {"/model/merges/5", "\"qqq zzz\"", "model.merges[5]"},
      {"/model/merges/5", "\"one\"", "model.merges[5]"},
      {"/model/merges/5", "[\"a\"]", "model.merges[5]"},
      {"/model/merges/5", "{}", "model.merges[5]"},
      {"/model/merges", "7", "model.merges"},
      {"/model/type", "\"Unigram\"", "model.type"},
      {"/model/unk_token", "\"<nowhere>\"", "model.unk_token"},
      {"/model/byte_fallback", "3", "model.byte_fallback"},
      {"/model", "null", "\"model\""},
      {"/added_tokens/0/id", "123456789", "added_tokens[0].id"},
      {"/added_tokens/0/id", "-5", "added_tokens[0].id"},
      {"/added_tokens/0/content", "\"\"", "added_tokens[0]"},
      {"/added_tokens/0/content", "{}", "added_tokens[0].content"},
      {"/added_tokens", "{}", "added_tokens"},
      {"/pre_tokenizer/pretokenizers/0/pattern/Regex", "\"(\"",
       "pre_tokenizer.pretokenizers[0].pattern.Regex"},
      {"/pre_tokenizer/pretokenizers/0/pattern/Regex", "\"[a&&b]\"", "pattern.Regex"},
      {"/pre_tokenizer/pretokenizers/0/behavior", "\"Sideways\"", "Sideways"},
      {"/pre_tokenizer/type", "\"Magic\"", "Magic"},
      {"/decoder/type", "\"Magic\"", "decoder"},
      {"/normalizer", "{\"type\": \"Magic\"}", "normalizer"},
      {"/post_processor/processors/1/special_tokens/<|begin_of_text|>/ids/0", "99999999", "ids[0]"},
      {"/post_processor/processors/1/single", "3", "single"},
  };
  for (const Hostile& hostile : cases) {
    Json bad = good;
    bad[Json::json_pointer(hostile.pointer)] = Json::parse(hostile.value);
    const auto made = MakeJsonTokenizer(bad.dump(), "some/tokenizer.json");
    ASSERT_FALSE(made.ok()) << hostile.pointer << " " << hostile.value;
    const std::string message(made.status().message());
    EXPECT_THAT(message, testing::StartsWith("some/tokenizer.json: "));
    EXPECT_THAT(message, testing::HasSubstr(hostile.named));
    EXPECT_THAT(message, testing::Not(testing::HasSubstr("\n")));
  }
}

TEST(HostileTokenizer, TruncatedAnywhereIsOneLine) {
  const std::string good = ReadAll(CaseFolder("qwen2") + "/tokenizer.json");
  for (size_t i = 0; i < 50; ++i) {
    const auto made = MakeJsonTokenizer(good.substr(0, good.size() * i / 50), "t.json");
    ASSERT_FALSE(made.ok());
    EXPECT_THAT(
        std::string(made.status().message()),
        testing::AllOf(testing::StartsWith("t.json: "), testing::Not(testing::HasSubstr("\n"))));
  }
}

TEST(HostileTokenizer, DeepOrHugeFilesAreRefusedBeforeTheyAreRead) {
  const std::string deep = std::string(1 << 20, '[') + std::string(1 << 20, ']');
  EXPECT_THAT(std::string(MakeJsonTokenizer(deep, "t.json").status().message()),
              testing::HasSubstr("deeper than 64"));
  const std::string huge(100 << 20, ' ');
  EXPECT_THAT(std::string(MakeJsonTokenizer(huge, "t.json").status().message()),
              testing::HasSubstr("bytes, the most is"));
}

TEST(HostileTokenizer, LongTextsOfOneKindTakeLinearTime) {
  for (const char* name : {"qwen2", "mixtral_metaspace"}) {
    const auto tokenizer = LoadTokenizer(CaseFolder(name));
    ASSERT_TRUE(tokenizer.ok());
    for (const char* piece : {"a", " ", "\n", "e\xCC\x81", "1", "\xF0\x9F\x98\x80"}) {
      std::string text;
      while (text.size() < 200'000) text += piece;
      const auto ids = (*tokenizer)->Encode(text, false);
      ASSERT_TRUE(ids.ok()) << ids.status();
      EXPECT_GT(ids->size(), 0u);
    }
  }
}

TEST(ByteTokenizer, EveryByteIsItsOwnId) {
  std::string bytes;
  Ids ids;
  for (int b = 0; b < 256; ++b) {
    bytes.push_back(static_cast<char>(b));
    ids.push_back(b);
  }
  EXPECT_EQ(ByteTokenizer::Encode(bytes, false), ids);
  EXPECT_EQ(ByteTokenizer::Decode(ids, false), bytes);
}

TEST(ByteTokenizer, ParsesSpecialTokensOnlyWhenAsked) {
  EXPECT_EQ(ByteTokenizer::Encode("<think>a</think>", true), (Ids{257, 'a', 258}));
  EXPECT_EQ(ByteTokenizer::Encode("<think>a</think>", false).size(), 16u);
  // Neither a cut name nor another special token's name is parsed.
  EXPECT_EQ(ByteTokenizer::Encode("<think", true).size(), 6u);
  EXPECT_EQ(ByteTokenizer::Encode("<eos>", true).size(), 5u);
}

TEST(ByteTokenizer, DecodesSpecialTokensAsNamesOrNotAtAll) {
  const Ids ids{259, 'q', 260, 257, 't', 258, 'a', 256, 261, 262, 263, 264, -1, 1 << 30};
  EXPECT_EQ(ByteTokenizer::Decode(ids, true), "<user>q<assistant><think>t</think>a<eos><system>");
  EXPECT_EQ(ByteTokenizer::Decode(ids, false), "qta");
}

TEST(ByteTokenizer, StreamsWholeCharacters) {
  const auto tokenizer = MakeByteTokenizer();
  const auto stream = tokenizer->MakeDetokenizer(/*skip_special=*/false);
  EXPECT_EQ(stream->Push(0xE4), "");
  EXPECT_EQ(stream->Push(0xBD), "");
  EXPECT_EQ(stream->Push(0xA0), "\xE4\xBD\xA0");
  EXPECT_EQ(stream->Push(0xE4), "");
  EXPECT_EQ(stream->Push('a'),
            "\xEF\xBF\xBD"
            "a");
  EXPECT_EQ(stream->Push(ByteTokenizer::kThink), "<think>");
  EXPECT_EQ(stream->Push(0xF0), "");
  EXPECT_EQ(stream->Finish(), "\xEF\xBF\xBD");
}

TEST(LoadTokenizer, AFolderWithoutTokenizerSpeaksBytes) {
  const auto tokenizer = LoadTokenizer(PONDER_SOURCE_DIR);
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ((*tokenizer)->vocab_size(), ByteTokenizer::kVocabSize);
  EXPECT_EQ((*tokenizer)->TokenId("</think>"), ByteTokenizer::kEndThink);
  EXPECT_EQ((*tokenizer)->TokenId("<nothing>"), -1);
}

// Every kind of tokenizer.model against SentencePiece's own library.
class SentencePieceCase : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = CaseFolder(GetParam());
    auto loaded = LoadTokenizer(folder_);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    tokenizer_ = *loaded;
  }
  std::string folder_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

TEST_P(SentencePieceCase, IsWhatItsOwnLibraryMakesOfTheTexts) {
  for (const Json& line : ReadLines(folder_ + "/encode.jsonl")) {
    const auto ids = tokenizer_->Encode(line["text"].get<std::string>(), /*add_special=*/false);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(*ids, line["ids"].get<Ids>()) << line["text"];
    if (!line.contains("decoded")) continue;  // an unknown token has a name here, a sign there
    EXPECT_EQ(tokenizer_->Decode(*ids, /*skip_special=*/false), line["decoded"]);
    EXPECT_EQ(Streamed(*tokenizer_, *ids, /*skip_special=*/false), line["decoded"]);
  }
}

TEST_P(SentencePieceCase, RandomIdsStreamToWhatTheyDecodeTo) {
  ExpectRandomIdsToStreamAsTheyDecode(*tokenizer_);
}

TEST_P(SentencePieceCase, NamesOfControlTokensInTextAreThoseTokens) {
  const int32_t end = tokenizer_->TokenId("</s>");
  ASSERT_GE(end, 0);
  EXPECT_TRUE(tokenizer_->IsSpecial(end));
  EXPECT_EQ(tokenizer_->TokenBytes(end), "</s>");
  Ids wanted = *tokenizer_->Encode("the end", false);
  wanted.push_back(end);
  const Ids next = *tokenizer_->Encode("the next", false);
  wanted.insert(wanted.end(), next.begin(), next.end());
  const Ids ids = *tokenizer_->Encode("the end</s>the next", false);
  EXPECT_EQ(ids, wanted);
  EXPECT_THAT(tokenizer_->Decode(ids, /*skip_special=*/false), testing::HasSubstr("</s>"));
  EXPECT_THAT(tokenizer_->Decode(ids, /*skip_special=*/true),
              testing::Not(testing::HasSubstr("</s>")));
}

TEST_P(SentencePieceCase, BosComesFirstIfTheModelHasOne) {
  Ids framed = *tokenizer_->Encode("Hi", /*add_special=*/true);
  if (const int32_t bos = tokenizer_->TokenId("<s>"); bos >= 0) {
    EXPECT_EQ(framed.front(), bos);
    framed.erase(framed.begin());
  }
  EXPECT_EQ(framed, *tokenizer_->Encode("Hi", /*add_special=*/false));
}

TEST_P(SentencePieceCase, BrokenUtf8CountsAsTheReplacementCharacter) {
  EXPECT_EQ(*tokenizer_->Encode("a\xE4\xBD z\xFF", false),
            *tokenizer_->Encode("a\xEF\xBF\xBD z\xEF\xBF\xBD", false));
}

TEST_P(SentencePieceCase, BrokenModelsAreErrorsOfOneLine) {
  const std::string good = ReadAll(folder_ + "/tokenizer.model");
  for (size_t i = 0; i < 400; ++i) {
    std::string bad = good;
    if (i < 50) {
      bad.resize(good.size() * i / 50);
    } else {
      bad[good.size() * (i - 50) / 350] ^= static_cast<char>(1 + i % 250);
    }
    const auto made = MakeSentencePieceTokenizer(bad, "x/tokenizer.model");
    if (made.ok()) {
      const auto ids = (*made)->Encode("still 12 works: \xEF\xAC\x81 \xE2\x91\xA0", true);
      ASSERT_TRUE(ids.ok());
      EXPECT_TRUE(IsValidUtf8((*made)->Decode(*ids, false)));
      continue;
    }
    EXPECT_THAT(made.status().message(), testing::HasSubstr("x/tokenizer.model"));
    EXPECT_THAT(made.status().message(), testing::Not(testing::HasSubstr("\n")));
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, SentencePieceCase,
                         testing::Values("sentencepiece", "sentencepiece_unigram",
                                         "sentencepiece_unigram_bytes", "sentencepiece_bpe_rules",
                                         "sentencepiece_bpe_suffix", "sentencepiece_word",
                                         "sentencepiece_char"),
                         [](const auto& test) { return std::string(test.param); });

// Not so the BPE model that leaves text as it is: as its tokenizer.json has it, a run of bytes that
// is no text becomes as many U+FFFD as it has bytes, where SentencePiece keeps the characters in
// it.
TEST(SentencePiece, DecodesAnyTokensAsItsOwnLibrary) {
  for (const char* name :
       {"sentencepiece_unigram", "sentencepiece_unigram_bytes", "sentencepiece_bpe_rules",
        "sentencepiece_bpe_suffix", "sentencepiece_word", "sentencepiece_char"}) {
    const auto tokenizer = LoadTokenizer(CaseFolder(name));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    for (const Json& line : ReadLines(CaseFolder(name) + "/decode.jsonl")) {
      const Ids ids = line["ids"].get<Ids>();
      EXPECT_EQ((*tokenizer)->Decode(ids, /*skip_special=*/false), line["decoded"]) << line["ids"];
      EXPECT_EQ(Streamed(**tokenizer, ids, /*skip_special=*/false), line["decoded"]);
    }
  }
}

TEST(SentencePiece, OnlyBpeThatLeavesTextAsItIsHasATokenizerJson) {
  const auto json = [](const std::string& name) {
    const std::string path = CaseFolder(name) + "/tokenizer.model";
    return SentencePieceAsJson(ReadAll(path), "x/tokenizer.model").status();
  };
  EXPECT_TRUE(json("sentencepiece").ok());
  for (const auto& [name, why] :
       {std::make_pair("sentencepiece_unigram", "model_type is not BPE"),
        std::make_pair("sentencepiece_bpe_rules", "normalised by user_defined"),
        std::make_pair("sentencepiece_bpe_suffix", "treat_whitespace_as_suffix")}) {
    const absl::Status status = json(name);
    EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                testing::AllOf(testing::StartsWith("x/tokenizer.model can't be written as"),
                               testing::HasSubstr(why)));
  }
}

TEST(SentencePiece, LongTextsOfOneKindTakeLinearTime) {
  for (const char* name : {"sentencepiece_unigram", "sentencepiece_bpe_rules"}) {
    const auto tokenizer = LoadTokenizer(CaseFolder(name));
    ASSERT_TRUE(tokenizer.ok());
    for (const char* piece : {"a", " ", "the", "\xF0\x9F\x98\x80"}) {
      std::string text;
      while (text.size() < 1'000'000) text += piece;
      EXPECT_TRUE((*tokenizer)->Encode(text, false).ok());
    }
  }
}

}  // namespace tokenizer_test
}  // namespace ponder::data

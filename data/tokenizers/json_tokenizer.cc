#include "data/tokenizers/json_tokenizer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/tokenizers/added_tokens.h"
#include "data/tokenizers/bpe.h"
#include "data/tokenizers/detokenizers.h"
#include "data/tokenizers/json_node.h"
#include "data/tokenizers/normalizer.h"
#include "data/tokenizers/pre_tokenizer.h"
#include "data/tokenizers/special_frame.h"
#include "data/tokenizers/token_decoder.h"
#include "data/tokenizers/unicode_text.h"
#include "data/tokenizers/word_cache.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace {

constexpr size_t kMaxFileBytes = 64 << 20;
constexpr char kMetaspace[] = "\xE2\x96\x81";  // ▁

class JsonTokenizer final : public Tokenizer {
 public:
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Make(const JsonNode& file);

  absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view text,
                                              bool add_special) const override;
  std::string Decode(absl::Span<const int32_t> ids, bool skip_special) const override;
  std::string TokenBytes(int32_t id) const override;
  bool IsSpecial(int32_t id) const override {
    return id >= 0 && id < vocab_size() && tokens_[static_cast<size_t>(id)].special;
  }
  std::unique_ptr<Detokenizer> MakeDetokenizer(bool skip_special) const override;
  int32_t TokenId(absl::string_view token) const override;
  int64_t vocab_size() const override { return static_cast<int64_t>(tokens_.size()); }

 private:
  struct Token {
    std::string bytes;                // if the decoder is byte-level: what the token stands for
    TokenDecoder::Prepared prepared;  // else
    int byte = -1;                    // that its name says, such as <0x0A>
    bool is_token = false;
    bool special = false;
  };
  absl::Status ReadAddedTokens(const JsonNode& file);
  void NameTokens();
  bool Shows(int32_t id, bool skip_special) const {
    if (id < 0 || id >= vocab_size()) return false;
    const Token& token = tokens_[static_cast<size_t>(id)];
    return token.is_token && !(skip_special && token.special);
  }
  absl::Status EncodeText(absl::string_view text, bool at_start, WordCache* cache,
                          std::vector<int32_t>* ids) const;
  void EncodeWord(absl::string_view word, WordCache* cache, std::vector<int32_t>* ids) const;
  // A piece that no split pattern has cut, word by word.
  void EncodeCutAtMetaspace(absl::string_view piece, WordCache* cache,
                            std::vector<int32_t>* ids) const;

  Bpe bpe_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  TokenDecoder decoder_;
  SpecialFrame frame_;
  std::vector<AddedToken> added_;
  AddedTokens raw_, normalized_;  // looked for before and after normalising
  absl::flat_hash_map<std::string, int32_t> added_ids_;
  std::vector<Token> tokens_;  // by id
  mutable WordCachePool caches_;
};

absl::StatusOr<std::shared_ptr<const Tokenizer>> JsonTokenizer::Make(const JsonNode& file) {
  auto made = std::make_shared<JsonTokenizer>();
  PONDER_ASSIGN_OR_RETURN(const JsonNode model, file.At("model"));
  PONDER_ASSIGN_OR_RETURN(made->bpe_, Bpe::FromJson(model));
  PONDER_ASSIGN_OR_RETURN(made->normalizer_, Normalizer::FromJson(file.Find("normalizer")));
  PONDER_ASSIGN_OR_RETURN(made->pre_tokenizer_, PreTokenizer::FromJson(file.Find("pre_tokenizer")));
  PONDER_ASSIGN_OR_RETURN(made->decoder_, TokenDecoder::FromJson(file.Find("decoder")));
  PONDER_RETURN_IF_ERROR(made->ReadAddedTokens(file));
  made->NameTokens();
  PONDER_ASSIGN_OR_RETURN(
      made->frame_, SpecialFrame::FromJson(file.Find("post_processor"), made->vocab_size() - 1));
  return made;
}

absl::Status JsonTokenizer::ReadAddedTokens(const JsonNode& file) {
  const std::optional<JsonNode> list = file.Find("added_tokens");
  if (!list.has_value()) return absl::OkStatus();
  PONDER_ASSIGN_OR_RETURN(const std::vector<JsonNode> nodes, list->Elements());
  const int64_t most = MaxTokenId(bpe_.vocab().size() + nodes.size());
  for (const JsonNode& node : nodes) {
    AddedToken token;
    PONDER_ASSIGN_OR_RETURN(token.content, node.StringAt("content"));
    PONDER_ASSIGN_OR_RETURN(const JsonNode id, node.At("id"));
    PONDER_ASSIGN_OR_RETURN(const int64_t value, id.Int(0, most));
    token.id = static_cast<int32_t>(value);
    PONDER_ASSIGN_OR_RETURN(token.single_word, node.BoolOr("single_word", false));
    PONDER_ASSIGN_OR_RETURN(token.lstrip, node.BoolOr("lstrip", false));
    PONDER_ASSIGN_OR_RETURN(token.rstrip, node.BoolOr("rstrip", false));
    PONDER_ASSIGN_OR_RETURN(token.special, node.BoolOr("special", false));
    PONDER_ASSIGN_OR_RETURN(token.normalized, node.BoolOr("normalized", !token.special));
    if (token.content.empty()) return node.Error("has an empty \"content\"");
    const int32_t in_vocab = bpe_.IdOf(token.content);
    if (in_vocab >= 0 && in_vocab != token.id) {
      return id.Error(absl::StrCat("is ", token.id, ", but model.vocab gives '",
                                   absl::CHexEscape(token.content), "' the id ", in_vocab));
    }
    added_ids_[token.content] = token.id;
    added_.push_back(token);
    if (!token.normalized) {
      raw_.Add(std::move(token));
    } else {
      PONDER_ASSIGN_OR_RETURN(token.content, normalizer_.Apply(token.content));
      if (!token.content.empty()) normalized_.Add(std::move(token));
    }
  }
  return absl::OkStatus();
}

void JsonTokenizer::NameTokens() {
  const auto name = [this](int32_t id, const std::string& text, bool special) {
    if (static_cast<size_t>(id) >= tokens_.size()) tokens_.resize(static_cast<size_t>(id) + 1);
    Token& token = tokens_[static_cast<size_t>(id)];
    token.is_token = true;
    token.special = special;
    if (decoder_.is_byte_level()) {
      token.bytes = ByteLevelBytes(text);
    } else {
      token.prepared = decoder_.Prepare(text);
      token.byte = ByteOfToken(text);
    }
  };
  for (const auto& [text, id] : bpe_.vocab()) name(id, text, false);
  for (const AddedToken& token : added_) name(token.id, token.content, token.special);
}

absl::StatusOr<std::vector<int32_t>> JsonTokenizer::Encode(absl::string_view text,
                                                           bool add_special) const {
  std::string replaced;
  text = ValidUtf8(text, &replaced);
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  const WordCachePool::Loan cache = caches_.Borrow();
  for (const AddedTokens::Segment& segment : raw_.Cut(text)) {
    if (segment.token >= 0) {
      ids.push_back(segment.token);
      continue;
    }
    const bool at_start = segment.text.data() == text.data();
    PONDER_ASSIGN_OR_RETURN(const std::string normal, normalizer_.Apply(segment.text));
    for (const AddedTokens::Segment& part : normalized_.Cut(normal)) {
      if (part.token >= 0) {
        ids.push_back(part.token);
      } else {
        PONDER_RETURN_IF_ERROR(EncodeText(part.text, at_start && part.text.data() == normal.data(),
                                          cache.get(), &ids));
      }
    }
  }
  if (add_special) frame_.Apply(&ids);
  return ids;
}

absl::Status JsonTokenizer::EncodeText(absl::string_view text, bool at_start, WordCache* cache,
                                       std::vector<int32_t>* ids) const {
  Words words;
  PONDER_RETURN_IF_ERROR(pre_tokenizer_.Cut(text, at_start, &words));
  for (const absl::string_view word : words.words) {
    if (bpe_.words_begin_with_metaspace() && !pre_tokenizer_.byte_level()) {
      EncodeCutAtMetaspace(word, cache, ids);
    } else {
      EncodeWord(word, cache, ids);
    }
  }
  return absl::OkStatus();
}

void JsonTokenizer::EncodeCutAtMetaspace(absl::string_view piece, WordCache* cache,
                                         std::vector<int32_t>* ids) const {
  while (!piece.empty()) {
    size_t begin = 0;  // of the word's letters
    while (absl::StartsWith(piece.substr(begin), kMetaspace)) begin += 3;
    const size_t end = std::min(piece.find(kMetaspace, begin), piece.size());
    EncodeWord(piece.substr(0, end), cache, ids);
    piece.remove_prefix(end);
  }
}

void JsonTokenizer::EncodeWord(absl::string_view word, WordCache* cache,
                               std::vector<int32_t>* ids) const {
  if (cache->Find(word, ids)) return;
  const size_t first = ids->size();
  if (pre_tokenizer_.byte_level()) {
    bpe_.Encode(ByteLevelSpelling(word), ids);
  } else {
    bpe_.Encode(word, ids);
  }
  cache->Add(word, absl::MakeConstSpan(*ids).subspan(first));
}

std::string JsonTokenizer::Decode(absl::Span<const int32_t> ids, bool skip_special) const {
  if (decoder_.is_byte_level()) {
    std::string bytes;
    for (const int32_t id : ids)
      if (Shows(id, skip_special)) bytes += tokens_[static_cast<size_t>(id)].bytes;
    return ReplaceInvalidUtf8(bytes);
  }
  TokenDecoder::Text text(decoder_, ids.size());
  for (const int32_t id : ids)
    if (Shows(id, skip_special)) text.Append(tokens_[static_cast<size_t>(id)].prepared);
  return text.Finish();
}

std::string JsonTokenizer::TokenBytes(int32_t id) const {
  if (!Shows(id, /*skip_special=*/false)) return "";
  const Token& token = tokens_[static_cast<size_t>(id)];
  if (decoder_.is_byte_level()) return token.bytes;
  if (token.byte >= 0) return std::string(1, static_cast<char>(token.byte));
  // Behind another token, as the first of a text may lose a space.
  const TokenDecoder::Prepared before = decoder_.Prepare("a");
  TokenDecoder::Text both(decoder_, 2);
  both.Append(before);
  both.Append(token.prepared);
  const std::string text = both.Finish();
  return text.substr(std::min(before.text.size(), text.size()));
}

std::unique_ptr<Detokenizer> JsonTokenizer::MakeDetokenizer(bool skip_special) const {
  if (decoder_.is_byte_level()) {
    return MakeByteDetokenizer([this, skip_special](int32_t id) {
      return Shows(id, skip_special) ? tokens_[static_cast<size_t>(id)].bytes : std::string();
    });
  }
  return MakeWindowDetokenizer(
      *this, [this, skip_special](int32_t id) { return Shows(id, skip_special); },
      [this](int32_t id) { return tokens_[static_cast<size_t>(id)].byte >= 0; });
}

int32_t JsonTokenizer::TokenId(absl::string_view token) const {
  const auto added = added_ids_.find(token);
  return added != added_ids_.end() ? added->second : bpe_.IdOf(token);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Tokenizer>> MakeJsonTokenizer(const std::string& text,
                                                                   const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const nlohmann::json json, ParseJsonFile(text, path, kMaxFileBytes));
  return JsonTokenizer::Make(JsonNode(json, path));
}

}  // namespace ponder::data

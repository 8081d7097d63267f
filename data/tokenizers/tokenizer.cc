#include "data/tokenizers/tokenizer.h"

#include "base/atomic_file.h"
#include "data/tokenizer.h"
#include "data/tokenizers/detokenizers.h"
#include "data/tokenizers/json_tokenizer.h"
#include "data/tokenizers/sentencepiece_model.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data {
namespace {

class Bytes final : public Tokenizer {
 public:
  absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view text,
                                              bool add_special) const override {
    return ByteTokenizer::Encode(text, /*parse_special=*/true);
  }
  std::string Decode(absl::Span<const int32_t> ids, bool skip_special) const override {
    return ReplaceInvalidUtf8(ByteTokenizer::Decode(ids, !skip_special));
  }
  std::string TokenBytes(int32_t id) const override {
    return ByteTokenizer::Decode({id}, /*keep_special=*/true);
  }
  bool IsSpecial(int32_t id) const override { return id >= 256; }
  std::unique_ptr<Detokenizer> MakeDetokenizer(bool skip_special) const override {
    return MakeByteDetokenizer(
        [skip_special](int32_t id) { return ByteTokenizer::Decode({id}, !skip_special); });
  }
  int32_t TokenId(absl::string_view token) const override {
    if (token.empty()) return -1;
    if (token.size() == 1) return static_cast<unsigned char>(token[0]);
    for (int32_t id = 256; id < ByteTokenizer::kVocabSize; ++id)
      if (token == ByteTokenizer::Decode({id}, /*keep_special=*/true)) return id;
    return -1;
  }
  int64_t vocab_size() const override { return ByteTokenizer::kVocabSize; }
};

}  // namespace

std::shared_ptr<const Tokenizer> MakeByteTokenizer() { return std::make_shared<Bytes>(); }

absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const std::string& folder) {
  const std::string json_path = folder + "/tokenizer.json";
  absl::StatusOr<std::string> json = ReadFile(json_path);
  if (json.ok()) return MakeJsonTokenizer(*json, json_path);
  if (!absl::IsNotFound(json.status())) return json.status();
  const std::string model_path = folder + "/tokenizer.model";
  absl::StatusOr<std::string> model = ReadFile(model_path);
  if (absl::IsNotFound(model.status())) return MakeByteTokenizer();
  if (!model.ok()) return model.status();
  return MakeSentencePieceTokenizer(*model, model_path);
}

}  // namespace ponder::data

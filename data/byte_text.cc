// The text of a model that speaks bytes.
#include "data/chat_format.h"
#include "data/model_text.h"
#include "data/tokenizer.h"

namespace ponder::data {
namespace {

class Bytes final : public ModelText {
 public:
  Bytes() {
    eos_tokens_ = {ByteTokenizer::kEos};
    think_open_ = ByteTokenizer::kThink;
    think_close_ = ByteTokenizer::kEndThink;
  }

  absl::StatusOr<std::vector<int32_t>> EncodeChat(absl::Span<const Message> messages,
                                                  absl::string_view system_prompt) const override {
    return data::EncodeChat(messages, system_prompt);
  }
  absl::StatusOr<std::vector<int32_t>> EncodeTrace(absl::string_view thought,
                                                   absl::string_view answer) const override {
    return data::EncodeTrace(thought, answer);
  }
  absl::StatusOr<std::vector<int32_t>> EncodeText(absl::string_view text) const override {
    return ByteTokenizer::Encode(text, /*parse_special=*/false);
  }
  std::string ResponseText(absl::Span<const int32_t> tokens) const override {
    if (!tokens.empty() && tokens.back() == ByteTokenizer::kEos) tokens.remove_suffix(1);
    return ByteTokenizer::Decode(tokens, /*keep_special=*/true);
  }
  std::string TokenBytes(int32_t token) const override {
    return ByteTokenizer::Decode({token}, /*keep_special=*/false);
  }
  std::string TokenName(int32_t token) const override {
    return ByteTokenizer::Decode({token}, /*keep_special=*/true);
  }
  int64_t vocab_size() const override { return ByteTokenizer::kVocabSize; }
};

}  // namespace

std::shared_ptr<const ModelText> ByteText() {
  static const auto* const kText = new std::shared_ptr<const ModelText>(std::make_shared<Bytes>());
  return *kText;
}

}  // namespace ponder::data

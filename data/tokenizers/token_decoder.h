// TokenDecoder: the "decoder" of a tokenizer.json, which turns tokens back into text. A value; safe
// from many threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/tokenizers/json_node.h"
#include "data/tokenizers/split_pattern.h"

namespace ponder::data {

class TokenDecoder {
 public:
  // Nothing: tokens are joined by spaces. ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace
  // and Sequence are known; another is an error that names it.
  static absl::StatusOr<TokenDecoder> FromJson(const std::optional<JsonNode>& node);

  // A token after the steps at the beginning that look at nothing but it: what of decoding can be
  // done once for a vocabulary. A value.
  struct Prepared {
    std::string text;
    int byte = -1;  // that the text names, such as <0x0A>
  };
  Prepared Prepare(std::string token) const;

  // What prepared tokens, one after another, become: valid UTF-8 if they are. The decoder outlives
  // it.
  class Text {
   public:
    // For about so many tokens.
    Text(const TokenDecoder& decoder, size_t tokens);

    void Append(const Prepared& token) {
      if (!decoder_.joins_) {
        texts_.push_back(token.text);
      } else if (decoder_.joins_bytes_ && token.byte >= 0) {
        bytes_.push_back(static_cast<char>(token.byte));
      } else {
        if (!bytes_.empty()) EndBytes();
        text_.append(token.text);
      }
    }
    std::string Finish();

   private:
    void EndBytes();

    const TokenDecoder& decoder_;
    std::string text_, bytes_;
    std::vector<std::string> texts_;  // if they can't be joined yet
  };

  // Decode is nothing but the tokens' bytes, with U+FFFD for what is not UTF-8.
  bool is_byte_level() const;

 private:
  struct Step {
    enum class Kind { kByteLevel, kByteFallback, kFuse, kStrip, kReplace, kMetaspace } kind;
    std::shared_ptr<const SplitPattern> pattern;  // kReplace
    std::string content;                          // kReplace, kStrip; kMetaspace's replacement
    int64_t start = 0, stop = 0;                  // kStrip: at most so many at either end
    bool strip_first = false;                     // kMetaspace: none for a prepended space
  };
  absl::Status Append(const JsonNode& node, int depth);
  // `step`, which looks at one token alone, behind others.
  static std::string Alone(const Step& step, absl::string_view token);
  // The steps from `first` on.
  std::string Run(size_t first, std::vector<std::string> tokens) const;

  bool joined_by_space_ = true;
  std::vector<Step> steps_;
  size_t prepared_ = 0;  // steps that Prepare does
  // The next ones do nothing but join tokens, or runs of tokens that are bytes; then come the steps
  // from `joined_` on.
  bool joins_ = false, joins_bytes_ = false;
  size_t joined_ = 0;
};

// The bytes that a token of the byte-level alphabet stands for; a token with other characters
// stands for its own.
std::string ByteLevelBytes(absl::string_view token);
// The other way: `bytes` spelt in the byte-level alphabet.
std::string ByteLevelSpelling(absl::string_view bytes);
// The byte of a token such as <0x0A>, or -1.
int ByteOfToken(absl::string_view token);

}  // namespace ponder::data

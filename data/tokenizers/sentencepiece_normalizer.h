// SentencePieceNormalizer: what SentencePiece does to a text before it cuts it into pieces, by a
// model's normalizer_spec: rules of replacement, white space, the dummy prefix. A value; safe from
// many threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/tokenizers/piece_trie.h"

namespace ponder::sentencepiece {
class SentencePieceModel;
}

namespace ponder::data {

// What a space becomes: "▁".
inline constexpr char kSpaceMark[] = "\xE2\x96\x81";

class SentencePieceNormalizer {
 public:
  // InvalidArgument: the model's precompiled_charsmap is damaged.
  static absl::StatusOr<SentencePieceNormalizer> Make(
      const sentencepiece::SentencePieceModel& model);

  // Of valid UTF-8. What `verbatim` has a piece for stays as it is.
  std::string Apply(absl::string_view text, const PieceTrie& verbatim) const;

 private:
  // What the beginning of a text becomes, and how long that beginning is.
  struct Step {
    absl::string_view text;
    size_t length = 0;
  };
  Step Next(absl::string_view text, const PieceTrie& verbatim) const;
  // The rule for the longest beginning of `text`; length 0: there is none.
  Step Rule(absl::string_view text) const;

  std::vector<uint32_t> units_;  // the rules' double array
  std::string replacements_;     // each ends with a zero byte
  bool dummy_prefix_ = true;
  bool suffix_ = false;  // the dummy prefix comes last
  bool remove_extra_whitespaces_ = true;
  const char* space_ = " ";  // what a space becomes
};

}  // namespace ponder::data

// The byte-level tokenizer: ids 0 to 255 are bytes; special tokens follow. A value without state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ponder::data {

class ByteTokenizer {
 public:
  static constexpr int32_t kEos = 256;
  static constexpr int32_t kThink = 257;      // <think>
  static constexpr int32_t kEndThink = 258;   // </think>
  static constexpr int32_t kUser = 259;       // opens a user turn
  static constexpr int32_t kAssistant = 260;  // opens an assistant turn
  static constexpr int32_t kSystem = 261;     // opens a system turn
  static constexpr int32_t kVocabSize = 264;  // padded to a multiple of 8

  // Bytes of `text`; "<think>" and "</think>" become their special tokens only if `parse_special`.
  static std::vector<int32_t> Encode(absl::string_view text, bool parse_special);
  // Special tokens as their names if `keep_special`, else left out. Ids out of range are left out.
  static std::string Decode(absl::Span<const int32_t> ids, bool keep_special);
};

}  // namespace ponder::data

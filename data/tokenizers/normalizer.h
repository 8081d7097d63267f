// Normalizer: the "normalizer" of a tokenizer.json, which rewrites text before it is split. A
// value; safe from many threads.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/tokenizers/json_node.h"
#include "data/tokenizers/split_pattern.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data {

class Normalizer {
 public:
  // Nothing: text stays as it is. NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip, Lowercase and
  // Sequence are known; another is an error that names it.
  static absl::StatusOr<Normalizer> FromJson(const std::optional<JsonNode>& node);

  // Of valid UTF-8. ResourceExhausted: a pattern backtracks too much on this text.
  absl::StatusOr<std::string> Apply(absl::string_view text) const;

 private:
  struct Step {
    enum class Kind { kForm, kPrepend, kReplace, kStrip, kLowercase } kind;
    NormalForm form = NormalForm::kNfc;
    std::shared_ptr<const SplitPattern> pattern;  // kReplace
    std::string content;                          // kPrepend, kReplace
    bool left = false, right = false;             // kStrip
  };
  absl::Status Append(const JsonNode& node, int depth);

  std::vector<Step> steps_;
};

// "pattern": {"String": ...} or {"Regex": ...} of `node`.
absl::StatusOr<std::shared_ptr<const SplitPattern>> PatternAt(const JsonNode& node);

// `text` with each match of `pattern` replaced.
absl::StatusOr<std::string> ReplaceMatches(const SplitPattern& pattern, absl::string_view text,
                                           absl::string_view content);

}  // namespace ponder::data

// PreTokenizer: the "pre_tokenizer" of a tokenizer.json, which cuts text into the words that BPE
// works on one by one. A value; safe from many threads.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/tokenizers/json_node.h"
#include "data/tokenizers/split_pattern.h"

namespace ponder::data {

// Words, as views of the text or of `rewritten`.
struct Words {
  std::vector<absl::string_view> words;
  std::deque<std::string> rewritten;
};

class PreTokenizer {
 public:
  // Nothing: a text is one word. Split, ByteLevel (as the last one), Metaspace, Digits,
  // Punctuation, Whitespace, WhitespaceSplit and Sequence are known; another is an error that names
  // it.
  static absl::StatusOr<PreTokenizer> FromJson(const std::optional<JsonNode>& node);

  // `text` is valid UTF-8, not empty, and outlives the words. `at_start`: it opens the whole text.
  absl::Status Cut(absl::string_view text, bool at_start, Words* words) const;

  // Each byte of a word stands for a character of the byte-level alphabet.
  bool byte_level() const { return byte_level_; }

 private:
  enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
  enum class PrependScheme { kAlways, kFirst, kNever };
  struct Step {
    std::shared_ptr<const SplitPattern> pattern;  // null: no split
    Behavior behavior = Behavior::kIsolated;
    bool invert = false;
    bool add_prefix_space = false;  // ByteLevel
    std::string replacement;        // Metaspace's, for a space; else empty
    PrependScheme prepend = PrependScheme::kNever;
  };
  absl::Status Append(const JsonNode& node, int depth);
  static absl::StatusOr<Behavior> BehaviorAt(const JsonNode& node, const char* absent);
  static absl::StatusOr<Step> MetaspaceFrom(const JsonNode& node);
  static absl::Status CutWord(const Step& step, absl::string_view word, Words* words);

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

}  // namespace ponder::data

#include "data/tokenizers/pre_tokenizer.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"
#include "base/status.h"
#include "data/tokenizers/normalizer.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data {
namespace {

// GPT-2's, from its encoder.py.
constexpr char kGpt2Pattern[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr char kPunctuation[] = R"([\p{P}$+<=>^`|~])";  // Unicode's, and ASCII's symbols

std::shared_ptr<const SplitPattern> Known(absl::string_view regex) {
  auto pattern = SplitPattern::Compile(regex);
  PONDER_CHECK(pattern.ok(), pattern.status().message());
  return *std::move(pattern);
}

}  // namespace

absl::StatusOr<PreTokenizer> PreTokenizer::FromJson(const std::optional<JsonNode>& node) {
  PreTokenizer pre_tokenizer;
  if (node.has_value()) PONDER_RETURN_IF_ERROR(pre_tokenizer.Append(*node, 0));
  return pre_tokenizer;
}

absl::StatusOr<PreTokenizer::Behavior> PreTokenizer::BehaviorAt(const JsonNode& node,
                                                                const char* absent) {
  std::string name = absent;
  if (const std::optional<JsonNode> behavior = node.Find("behavior"); behavior.has_value()) {
    PONDER_ASSIGN_OR_RETURN(name, behavior->String());
  }
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  return node.Error(absl::StrCat("has the behavior ", name, ", which is not supported"));
}

absl::StatusOr<PreTokenizer::Step> PreTokenizer::MetaspaceFrom(const JsonNode& node) {
  Step step;
  PONDER_ASSIGN_OR_RETURN(step.replacement, node.StringAt("replacement"));
  if (step.replacement.empty()) return node.Error("has an empty \"replacement\"");
  std::string scheme = "always";
  if (const std::optional<JsonNode> given = node.Find("prepend_scheme"); given.has_value()) {
    PONDER_ASSIGN_OR_RETURN(scheme, given->String());
  } else {
    PONDER_ASSIGN_OR_RETURN(const bool prefix, node.BoolOr("add_prefix_space", true));
    if (!prefix) scheme = "never";
  }
  if (scheme == "always") {
    step.prepend = PrependScheme::kAlways;
  } else if (scheme == "first") {
    step.prepend = PrependScheme::kFirst;
  } else if (scheme != "never") {
    return node.Error(
        absl::StrCat("has the prepend_scheme ", scheme, "; it must be always, first or never"));
  }
  PONDER_ASSIGN_OR_RETURN(const bool split, node.BoolOr("split", true));
  if (split) {
    PONDER_ASSIGN_OR_RETURN(step.pattern, SplitPattern::Literal(step.replacement));
    step.behavior = Behavior::kMergedWithNext;
  }
  return step;
}

absl::Status PreTokenizer::Append(const JsonNode& node, int depth) {
  if (depth > kMaxSequenceDepth) return node.Error("nests too deep");
  PONDER_ASSIGN_OR_RETURN(const std::string type, node.StringAt("type"));
  if (type == "Sequence") {
    PONDER_ASSIGN_OR_RETURN(const JsonNode list, node.At("pretokenizers"));
    PONDER_ASSIGN_OR_RETURN(const std::vector<JsonNode> parts, list.Elements());
    for (const JsonNode& part : parts) PONDER_RETURN_IF_ERROR(Append(part, depth + 1));
    return absl::OkStatus();
  }
  if (byte_level_) return node.Error("comes after a ByteLevel, which must be the last one");
  Step step;
  if (type == "Split") {
    PONDER_ASSIGN_OR_RETURN(step.pattern, PatternAt(node));
    PONDER_ASSIGN_OR_RETURN(step.behavior, BehaviorAt(node, "Isolated"));
    PONDER_ASSIGN_OR_RETURN(step.invert, node.BoolOr("invert", false));
  } else if (type == "ByteLevel") {
    byte_level_ = true;
    PONDER_ASSIGN_OR_RETURN(step.add_prefix_space, node.BoolOr("add_prefix_space", true));
    PONDER_ASSIGN_OR_RETURN(const bool use_regex, node.BoolOr("use_regex", true));
    if (use_regex) step.pattern = Known(kGpt2Pattern);
  } else if (type == "Metaspace") {
    PONDER_ASSIGN_OR_RETURN(step, MetaspaceFrom(node));
  } else if (type == "Digits") {
    PONDER_ASSIGN_OR_RETURN(const bool individual, node.BoolOr("individual_digits", false));
    step.pattern = Known(individual ? R"(\p{N})" : R"(\p{N}+)");
  } else if (type == "Punctuation") {
    step.pattern = Known(kPunctuation);
    PONDER_ASSIGN_OR_RETURN(step.behavior, BehaviorAt(node, "Isolated"));
  } else if (type == "WhitespaceSplit") {
    step.pattern = Known(R"(\s)");
    step.behavior = Behavior::kRemoved;
  } else if (type == "Whitespace") {
    step.pattern =
        Known(R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\s]+)");
    step.behavior = Behavior::kRemoved;
    step.invert = true;
  } else {
    return node.Error(absl::StrCat("has the type ", type, ", which is not supported"));
  }
  steps_.push_back(std::move(step));
  return absl::OkStatus();
}

absl::Status PreTokenizer::CutWord(const Step& step, absl::string_view word, Words* words) {
  // The whole word as parts, each a match or not.
  struct Part {
    size_t begin, end;
    bool match;
  };
  static thread_local std::vector<SplitPattern::Range> matches;
  static thread_local std::vector<Part> parts;
  matches.clear();
  parts.clear();
  PONDER_RETURN_IF_ERROR(step.pattern->FindAll(word, &matches));
  size_t from = 0;
  for (const auto& [begin, end] : matches) {
    if (begin > from) parts.push_back({from, begin, step.invert});
    parts.push_back({begin, end, !step.invert});
    from = end;
  }
  if (from < word.size()) parts.push_back({from, word.size(), step.invert});

  const auto emit = [&](size_t begin, size_t end) {
    if (end > begin) words->words.push_back(word.substr(begin, end - begin));
  };
  size_t open = 0;  // where the part that is not emitted yet begins
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    switch (step.behavior) {
      case Behavior::kIsolated:
        emit(part.begin, part.end);
        break;
      case Behavior::kRemoved:
        if (!part.match) emit(part.begin, part.end);
        break;
      case Behavior::kContiguous:
        if (i + 1 == parts.size() || parts[i + 1].match != part.match) {
          emit(open, part.end);
          open = part.end;
        }
        break;
      case Behavior::kMergedWithPrevious:
        // A match joins what comes before it, unless that is a match too.
        if (part.match || i + 1 == parts.size() || !parts[i + 1].match) {
          emit(open, part.end);
          open = part.end;
        }
        break;
      case Behavior::kMergedWithNext:
        if (!part.match || i + 1 == parts.size() || parts[i + 1].match) {
          emit(open, part.end);
          open = part.end;
        }
        break;
    }
  }
  return absl::OkStatus();
}

absl::Status PreTokenizer::Cut(absl::string_view text, bool at_start, Words* words) const {
  const size_t first = words->words.size();
  words->words.push_back(text);
  std::vector<absl::string_view> before;
  for (const Step& step : steps_) {
    before.assign(words->words.begin() + static_cast<int64_t>(first), words->words.end());
    words->words.resize(first);
    for (size_t i = 0; i < before.size(); ++i) {
      absl::string_view word = before[i];
      if (step.add_prefix_space && word[0] != ' ') {
        word = words->rewritten.emplace_back(absl::StrCat(" ", word));
      }
      if (!step.replacement.empty()) {
        std::string spaced = absl::StrReplaceAll(word, {{" ", step.replacement}});
        const bool prepend = step.prepend == PrependScheme::kAlways ||
                             (step.prepend == PrependScheme::kFirst && at_start && i == 0);
        if (prepend && !absl::StartsWith(spaced, step.replacement))
          spaced.insert(0, step.replacement);
        word = words->rewritten.emplace_back(std::move(spaced));
      }
      if (step.pattern != nullptr) {
        PONDER_RETURN_IF_ERROR(CutWord(step, word, words));
      } else {
        words->words.push_back(word);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace ponder::data

#include "data/tokenizers/normalizer.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace ponder::data {
namespace {

constexpr std::array<std::pair<absl::string_view, NormalForm>, 4> kForms = {{
    {"NFC", NormalForm::kNfc},
    {"NFD", NormalForm::kNfd},
    {"NFKC", NormalForm::kNfkc},
    {"NFKD", NormalForm::kNfkd},
}};

}  // namespace

absl::StatusOr<std::shared_ptr<const SplitPattern>> PatternAt(const JsonNode& node) {
  PONDER_ASSIGN_OR_RETURN(const JsonNode pattern, node.At("pattern"));
  const std::optional<JsonNode> regex = pattern.Find("Regex");
  if (regex.has_value()) {
    PONDER_ASSIGN_OR_RETURN(const std::string text, regex->String());
    auto compiled = SplitPattern::Compile(text);
    if (!compiled.ok()) return regex->Error(compiled.status().message());
    return compiled;
  }
  PONDER_ASSIGN_OR_RETURN(const std::string text, pattern.StringAt("String"));
  auto literal = SplitPattern::Literal(text);
  if (!literal.ok()) return pattern.Error(literal.status().message());
  return literal;
}

absl::StatusOr<std::string> ReplaceMatches(const SplitPattern& pattern, absl::string_view text,
                                           absl::string_view content) {
  static thread_local std::vector<SplitPattern::Range> matches;
  matches.clear();
  PONDER_RETURN_IF_ERROR(pattern.FindAll(text, &matches));
  if (matches.empty()) return std::string(text);
  std::string replaced;
  replaced.reserve(text.size() + matches.size() * content.size());
  size_t from = 0;
  for (const auto& [begin, end] : matches) {
    absl::StrAppend(&replaced, text.substr(from, begin - from), content);
    from = end;
  }
  absl::StrAppend(&replaced, text.substr(from));
  return replaced;
}

absl::StatusOr<Normalizer> Normalizer::FromJson(const std::optional<JsonNode>& node) {
  Normalizer normalizer;
  if (node.has_value()) PONDER_RETURN_IF_ERROR(normalizer.Append(*node, 0));
  return normalizer;
}

absl::Status Normalizer::Append(const JsonNode& node, int depth) {
  if (depth > kMaxSequenceDepth) return node.Error("nests too deep");
  PONDER_ASSIGN_OR_RETURN(const std::string type, node.StringAt("type"));
  Step step;
  for (const auto& [name, form] : kForms) {
    if (type != name) continue;
    step.kind = Step::Kind::kForm;
    step.form = form;
    steps_.push_back(step);
    return absl::OkStatus();
  }
  if (type == "Sequence") {
    PONDER_ASSIGN_OR_RETURN(const JsonNode list, node.At("normalizers"));
    PONDER_ASSIGN_OR_RETURN(const std::vector<JsonNode> parts, list.Elements());
    for (const JsonNode& part : parts) PONDER_RETURN_IF_ERROR(Append(part, depth + 1));
    return absl::OkStatus();
  }
  if (type == "Prepend") {
    step.kind = Step::Kind::kPrepend;
    PONDER_ASSIGN_OR_RETURN(step.content, node.StringAt("prepend"));
  } else if (type == "Replace") {
    step.kind = Step::Kind::kReplace;
    PONDER_ASSIGN_OR_RETURN(step.pattern, PatternAt(node));
    PONDER_ASSIGN_OR_RETURN(step.content, node.StringAt("content"));
  } else if (type == "Strip") {
    step.kind = Step::Kind::kStrip;
    PONDER_ASSIGN_OR_RETURN(step.left, node.BoolOr("strip_left", true));
    PONDER_ASSIGN_OR_RETURN(step.right, node.BoolOr("strip_right", true));
  } else if (type == "Lowercase") {
    step.kind = Step::Kind::kLowercase;
  } else {
    return node.Error(absl::StrCat("has the type ", type, ", which is not supported"));
  }
  steps_.push_back(std::move(step));
  return absl::OkStatus();
}

absl::StatusOr<std::string> Normalizer::Apply(absl::string_view text) const {
  std::string result(text);
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Step::Kind::kForm:
        result = Normalize(step.form, result);
        break;
      case Step::Kind::kPrepend:
        if (!result.empty()) result.insert(0, step.content);
        break;
      case Step::Kind::kReplace: {
        PONDER_ASSIGN_OR_RETURN(result, ReplaceMatches(*step.pattern, result, step.content));
        break;
      }
      case Step::Kind::kStrip:
        if (step.right) result.resize(result.size() - TrailingWhitespace(result));
        if (step.left) result.erase(0, LeadingWhitespace(result));
        break;
      case Step::Kind::kLowercase:
        result = LowerCase(result);
        break;
    }
  }
  return result;
}

}  // namespace ponder::data

// precompiled_charsmap is the size of a double-array trie in bytes (uint32, little-endian), the
// trie as darts-clone writes it, and the replacements that its values point to.
#include "data/tokenizers/sentencepiece_normalizer.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "data/tokenizers/sentencepiece_model.pb.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data {
namespace {

// A unit of the double array: a node's label and where its children are, or a value.
uint32_t Offset(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
bool HasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t Label(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
uint32_t LeafValue(uint32_t unit) { return unit & ~(1u << 31); }

}  // namespace

absl::StatusOr<SentencePieceNormalizer> SentencePieceNormalizer::Make(
    const sentencepiece::SentencePieceModel& model) {
  const auto& spec = model.normalizer();
  SentencePieceNormalizer made;
  made.dummy_prefix_ = spec.add_dummy_prefix();
  made.suffix_ = model.trainer().treat_whitespace_as_suffix();
  made.remove_extra_whitespaces_ = spec.remove_extra_whitespaces();
  made.space_ = spec.escape_whitespaces() ? kSpaceMark : " ";
  absl::string_view map = spec.precompiled_charsmap();
  if (map.empty()) return made;
  uint32_t bytes = 0;
  const bool has_size = map.size() > sizeof bytes;
  if (has_size) std::memcpy(&bytes, map.data(), sizeof bytes);
  map.remove_prefix(std::min(map.size(), sizeof bytes));
  if (!has_size || bytes == 0 || bytes % sizeof(uint32_t) != 0 || bytes >= map.size() ||
      !IsValidUtf8(map.substr(bytes)))
    return absl::InvalidArgumentError("normalizer_spec.precompiled_charsmap is damaged");
  made.units_.resize(bytes / sizeof(uint32_t));
  std::memcpy(made.units_.data(), map.data(), bytes);
  made.replacements_ = std::string(map.substr(bytes));
  return made;
}

SentencePieceNormalizer::Step SentencePieceNormalizer::Rule(absl::string_view text) const {
  Step longest;
  if (units_.empty()) return longest;
  uint32_t node = Offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units_.size() || Label(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= Offset(unit);
    if (node >= units_.size()) break;
    if (!HasLeaf(unit)) continue;
    const uint32_t at = LeafValue(units_[node]);
    if (at < replacements_.size()) longest = {replacements_.c_str() + at, i + 1};
  }
  return longest;
}

SentencePieceNormalizer::Step SentencePieceNormalizer::Next(absl::string_view text,
                                                            const PieceTrie& verbatim) const {
  if (const size_t length = verbatim.Longest(text)) return {text.substr(0, length), length};
  const Step rule = Rule(text);
  if (rule.length > 0) return rule;
  const size_t length = NextUtf8(text, 0).length;
  return {text.substr(0, length), length};
}

std::string SentencePieceNormalizer::Apply(absl::string_view text,
                                           const PieceTrie& verbatim) const {
  while (remove_extra_whitespaces_ && !text.empty()) {
    const Step step = Next(text, verbatim);
    if (step.text != " ") break;
    text.remove_prefix(step.length);
  }
  if (text.empty()) return "";
  std::string normal;
  normal.reserve(text.size() + text.size() / 2);
  if (dummy_prefix_ && !suffix_) normal += space_;
  bool after_space = remove_extra_whitespaces_;
  while (!text.empty()) {
    Step step = Next(text, verbatim);
    text.remove_prefix(step.length);
    while (after_space && absl::ConsumePrefix(&step.text, " ")) {
    }
    if (step.text.empty()) continue;
    for (const char c : step.text) {
      if (c == ' ') {
        normal += space_;
      } else {
        normal.push_back(c);
      }
    }
    after_space = remove_extra_whitespaces_ && step.text.back() == ' ';
  }
  while (remove_extra_whitespaces_ && absl::EndsWith(normal, space_))
    normal.resize(normal.size() - std::strlen(space_));
  if (dummy_prefix_ && suffix_) normal += space_;
  return normal;
}

}  // namespace ponder::data

#include "data/tokenizer.h"

#include "absl/strings/match.h"

namespace ponder::data {
namespace {

constexpr absl::string_view kThinkName = "<think>";
constexpr absl::string_view kEndThinkName = "</think>";

// Empty for padding ids and for whatever is not an id at all.
absl::string_view SpecialName(int32_t id) {
  switch (id) {
    case ByteTokenizer::kEos:
      return "<eos>";
    case ByteTokenizer::kThink:
      return kThinkName;
    case ByteTokenizer::kEndThink:
      return kEndThinkName;
    case ByteTokenizer::kUser:
      return "<user>";
    case ByteTokenizer::kAssistant:
      return "<assistant>";
    case ByteTokenizer::kSystem:
      return "<system>";
    default:
      return "";
  }
}

}  // namespace

std::vector<int32_t> ByteTokenizer::Encode(absl::string_view text, bool parse_special) {
  std::vector<int32_t> ids;
  ids.reserve(text.size());
  while (!text.empty()) {
    if (parse_special && absl::StartsWith(text, kThinkName)) {
      ids.push_back(kThink);
      text.remove_prefix(kThinkName.size());
    } else if (parse_special && absl::StartsWith(text, kEndThinkName)) {
      ids.push_back(kEndThink);
      text.remove_prefix(kEndThinkName.size());
    } else {
      ids.push_back(static_cast<unsigned char>(text.front()));
      text.remove_prefix(1);
    }
  }
  return ids;
}

std::string ByteTokenizer::Decode(absl::Span<const int32_t> ids, bool keep_special) {
  std::string text;
  text.reserve(ids.size());
  for (const int32_t id : ids) {
    if (id >= 0 && id < 256) {
      text.push_back(static_cast<char>(id));
    } else if (keep_special) {
      const absl::string_view name = SpecialName(id);
      text.append(name.data(), name.size());
    }
  }
  return text;
}

}  // namespace ponder::data

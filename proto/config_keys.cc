#include "proto/config_keys.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proto/config.pb.h"

namespace ponder {
namespace {

using google::protobuf::FieldDescriptor;

void AppendKeys(const google::protobuf::Descriptor& section, const std::string& prefix,
                std::vector<std::string>& keys) {
  for (int i = 0; i < section.field_count(); ++i) {
    const FieldDescriptor& field = *section.field(i);
    keys.push_back(absl::StrCat(prefix, field.name()));
    if (field.message_type() != nullptr) {
      AppendKeys(*field.message_type(), absl::StrCat(keys.back(), "."), keys);
    }
  }
}

// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
size_t TypingErrors(absl::string_view a, absl::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

absl::string_view Leaf(absl::string_view key) {
  return key.substr(key.rfind('.') + 1);
}  // npos + 1 is 0

absl::string_view Section(absl::string_view key) {
  const size_t dot = key.rfind('.');
  return dot == absl::string_view::npos ? "" : key.substr(0, dot);
}

}  // namespace

const std::vector<std::string>& ConfigKeys() {
  static const auto* keys = [] {
    auto* made = new std::vector<std::string>;
    AppendKeys(*v1::Config::descriptor(), "", *made);
    return made;
  }();
  return *keys;
}

std::string NearestWord(absl::string_view word, absl::Span<const std::string> candidates) {
  constexpr size_t kLongestKey = 200;  // the distance costs the product of the lengths
  if (word.size() > kLongestKey) return "";
  std::string nearest;
  size_t least = 2 + word.size() / 4;  // more errors than this is another word
  for (const std::string& candidate : candidates) {
    const size_t errors = TypingErrors(word, candidate);
    if (errors < least && errors < std::max(word.size(), candidate.size())) {
      least = errors;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string NearestConfigKey(absl::string_view key) {
  std::vector<std::string> neighbours, leaves;
  std::string namesake;
  for (const std::string& candidate : ConfigKeys()) {
    if (Section(candidate) == Section(key)) neighbours.emplace_back(Leaf(candidate));
    if (namesake.empty() && Leaf(candidate) == Leaf(key)) namesake = candidate;
    leaves.emplace_back(Leaf(candidate));
  }
  if (!namesake.empty()) return namesake;
  const std::string neighbour = NearestWord(Leaf(key), neighbours);
  if (!neighbour.empty()) {
    return Section(key).empty() ? neighbour : absl::StrCat(Section(key), ".", neighbour);
  }
  const std::string whole = NearestWord(key, ConfigKeys());
  if (!whole.empty()) return whole;
  const std::string leaf = NearestWord(Leaf(key), leaves);
  for (const std::string& candidate : ConfigKeys()) {
    if (!leaf.empty() && Leaf(candidate) == leaf) return candidate;
  }
  return "";
}

}  // namespace ponder

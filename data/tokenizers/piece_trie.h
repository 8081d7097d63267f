// PieceTrie: texts by their beginnings: which of a vocabulary's pieces does a text begin with? A
// value; safe from many threads once filled.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace ponder::data {

class PieceTrie {
 public:
  // `id` is not negative; the last one of a text wins.
  void Add(absl::string_view piece, int32_t id) {
    int32_t node = 0;
    for (const char byte : piece) {
      const auto [edge, is_new] =
          next_.try_emplace(Edge(node, byte), static_cast<int32_t>(ids_.size()));
      if (is_new) ids_.push_back(-1);
      node = edge->second;
    }
    ids_[static_cast<size_t>(node)] = id;
  }

  // Calls found(length, id) for every piece that `text` begins with, the shortest first.
  template <typename Found>
  void Prefixes(absl::string_view text, const Found& found) const {
    int32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      const auto edge = next_.find(Edge(node, text[i]));
      if (edge == next_.end()) return;
      node = edge->second;
      const int32_t id = ids_[static_cast<size_t>(node)];
      if (id >= 0) found(i + 1, id);
    }
  }

  // The length of the longest piece that `text` begins with; 0: none.
  size_t Longest(absl::string_view text) const {
    size_t longest = 0;
    Prefixes(text, [&](size_t length, int32_t) { longest = length; });
    return longest;
  }

 private:
  static uint64_t Edge(int32_t node, char byte) {
    return static_cast<uint64_t>(node) << 8 | static_cast<unsigned char>(byte);
  }

  absl::flat_hash_map<uint64_t, int32_t> next_;
  std::vector<int32_t> ids_ = {-1};  // by node; -1: none ends there
};

}  // namespace ponder::data

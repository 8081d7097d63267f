// Bpe: byte-pair encoding of one word (arXiv 1508.07909): of all neighbours that a merge joins, the
// one of the earliest merge is joined first, the leftmost of equals, until none is left. Immutable;
// safe from many threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/tokenizers/json_node.h"

namespace ponder::data {

class Bpe {
 public:
  // "model" of a tokenizer.json. InvalidArgument names the key: another type than BPE, an id out of
  // range, a merge of something that is not in the vocabulary.
  static absl::StatusOr<Bpe> FromJson(const JsonNode& model);

  // Appends the ids of a word of valid UTF-8 in the vocabulary's spelling. O(n log n).
  void Encode(absl::string_view word, std::vector<int32_t>* ids) const;

  // -1: none.
  int32_t IdOf(absl::string_view token) const;
  const absl::flat_hash_map<std::string, int32_t>& vocab() const { return vocab_; }
  // No merge joins anything else than "▁" to a "▁" behind it: a text may be cut there.
  bool words_begin_with_metaspace() const { return words_begin_with_metaspace_; }

 private:
  struct Merge {
    uint32_t rank = 0;
    int32_t id = 0;  // of what it makes
  };
  static uint64_t Pair(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  absl::Status ReadVocab(const JsonNode& node);
  absl::Status ReadMerges(const JsonNode& node);
  absl::Status ReadUnknown(const JsonNode& model);
  // The characters of a word as ids.
  void Symbols(absl::string_view word, std::vector<int32_t>* ids) const;
  bool AppendBytes(absl::string_view character, std::vector<int32_t>* ids) const;

  absl::flat_hash_map<std::string, int32_t> vocab_;
  absl::flat_hash_map<uint64_t, Merge> merges_;
  std::vector<int32_t> ascii_ids_;  // of each ASCII character; -1: none
  std::vector<int32_t> byte_ids_;   // <0x00> to <0xFF> if the model falls back to bytes; -1: none
  int32_t unknown_ = -1;            // -1: what is not in the vocabulary is left out
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;  // a word that is in the vocabulary is taken whole
  bool words_begin_with_metaspace_ = false;
};

// One past the largest id that a vocabulary of `tokens` tokens may have: room for gaps, none for
// nonsense.
int64_t MaxTokenId(size_t tokens);

}  // namespace ponder::data

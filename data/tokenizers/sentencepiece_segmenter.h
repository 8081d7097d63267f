// SentencePieceSegmenter: a normalised text cut into a model's pieces, as each kind of
// SentencePiece model does it:
//   unigram  the pieces whose scores have the greatest sum (Viterbi; arXiv 1804.10959)
//   BPE      the two neighbours whose union has the highest score are joined, until none is left
//   word     at spaces
//   char     every character
// A value; safe from many threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/tokenizers/piece_trie.h"

namespace ponder::sentencepiece {
class SentencePieceModel;
}

namespace ponder::data {

class SentencePieceSegmenter {
 public:
  // Of texts with scores, each once. InvalidArgument: the model's pieces do not fit together.
  static absl::StatusOr<SentencePieceSegmenter> Make(
      const sentencepiece::SentencePieceModel& model);

  // Appends ids: a run of unknown pieces as one unknown token or, if the model falls back to bytes,
  // as its bytes.
  void Encode(absl::string_view normal, std::vector<int32_t>* ids) const;

  // -1: none.
  int32_t IdOf(absl::string_view piece) const;
  // User-defined pieces, which are never cut.
  const PieceTrie& user_defined() const { return user_defined_; }

 private:
  struct Cut {
    absl::string_view text;
    int32_t id = 0;
  };
  std::vector<Cut> Unigram(absl::string_view normal) const;
  std::vector<Cut> Bpe(absl::string_view normal) const;
  void BpeOfWord(absl::string_view word, std::vector<Cut>* cuts) const;
  std::vector<Cut> Words(absl::string_view normal) const;
  std::vector<Cut> Characters(absl::string_view normal) const;
  // The length of what stays together at the beginning of `text`: a user-defined piece, a
  // character.
  size_t Unit(absl::string_view text) const;
  int32_t IdOrUnknown(absl::string_view piece) const;

  enum class Kind { kUnigram = 1, kBpe, kWord, kChar } kind_ = Kind::kUnigram;  // as in the file
  struct Piece {
    float score = 0;
    bool user_defined = false, unused = false;
    bool in_text = false;  // normal, user-defined or unused: what a text can be cut into
  };
  std::vector<Piece> pieces_;
  absl::flat_hash_map<std::string, int32_t> ids_;
  PieceTrie trie_;  // what a unigram model finds in text
  PieceTrie user_defined_;
  std::vector<int32_t> byte_ids_;  // empty: no fallback to bytes
  int32_t unknown_ = -1;
  float lowest_ = 0, highest_ = 0;  // of the normal pieces' scores
  // No piece has a "▁" behind something else: what is before it can't be joined to it.
  bool words_begin_with_space_ = true;
};

}  // namespace ponder::data

#include "data/tokenizers/sentencepiece_segmenter.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <queue>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "data/tokenizers/sentencepiece_model.pb.h"
#include "data/tokenizers/sentencepiece_normalizer.h"
#include "data/tokenizers/token_decoder.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data {
namespace {

using ModelPiece = sentencepiece::SentencePieceModel::Piece;

constexpr float kUnknownPenalty = 10;  // below the lowest score

// Of the "▁"s that a text begins with and what follows them up to the next "▁".
size_t WordLength(absl::string_view text) {
  size_t begin = 0;
  while (absl::StartsWith(text.substr(begin), kSpaceMark)) begin += std::strlen(kSpaceMark);
  return std::min(text.find(kSpaceMark, begin), text.size());
}

}  // namespace

absl::StatusOr<SentencePieceSegmenter> SentencePieceSegmenter::Make(
    const sentencepiece::SentencePieceModel& model) {
  SentencePieceSegmenter made;
  const int kind = model.trainer().model_type();
  if (kind < 1 || kind > 4)
    return absl::InvalidArgumentError(absl::StrCat("trainer_spec.model_type is ", kind));
  made.kind_ = static_cast<Kind>(kind);
  made.lowest_ = std::numeric_limits<float>::max();
  made.highest_ = std::numeric_limits<float>::lowest();
  if (model.trainer().byte_fallback()) made.byte_ids_.assign(256, -1);
  for (int32_t id = 0; id < model.pieces_size(); ++id) {
    const auto& piece = model.pieces(id);
    made.ids_.emplace(piece.piece(), id);
    Piece known{piece.score(), piece.type() == ModelPiece::USER_DEFINED,
                piece.type() == ModelPiece::UNUSED, false};
    known.in_text = piece.type() == ModelPiece::NORMAL || known.user_defined || known.unused;
    made.pieces_.push_back(known);
    if (known.in_text && WordLength(piece.piece()) < piece.piece().size())
      made.words_begin_with_space_ = false;
    if (known.in_text && !known.unused) made.trie_.Add(piece.piece(), id);
    if (known.user_defined) made.user_defined_.Add(piece.piece(), id);
    if (piece.type() == ModelPiece::NORMAL) {
      made.lowest_ = std::min(made.lowest_, piece.score());
      made.highest_ = std::max(made.highest_, piece.score());
    }
    if (piece.type() == ModelPiece::UNKNOWN) made.unknown_ = id;
    if (piece.type() != ModelPiece::BYTE) continue;
    const int byte = ByteOfToken(piece.piece());
    if (byte < 0 || made.byte_ids_.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("pieces[", id,
                       "] is of the kind for bytes, but names none, or there is no byte_fallback"));
    }
    made.byte_ids_[static_cast<size_t>(byte)] = id;
  }
  if (made.unknown_ < 0) return absl::InvalidArgumentError("there is no unknown piece");
  if (std::count(made.byte_ids_.begin(), made.byte_ids_.end(), -1) > 0)
    return absl::InvalidArgumentError("byte_fallback is set, but not every byte has a piece");
  return made;
}

int32_t SentencePieceSegmenter::IdOf(absl::string_view piece) const {
  const auto found = ids_.find(piece);
  return found == ids_.end() ? -1 : found->second;
}

int32_t SentencePieceSegmenter::IdOrUnknown(absl::string_view piece) const {
  const int32_t id = IdOf(piece);
  return id < 0 ? unknown_ : id;
}

size_t SentencePieceSegmenter::Unit(absl::string_view text) const {
  const size_t whole = user_defined_.Longest(text);
  return whole > 0 ? whole : NextUtf8(text, 0).length;
}

void SentencePieceSegmenter::Encode(absl::string_view normal, std::vector<int32_t>* ids) const {
  if (normal.empty()) return;
  const std::vector<Cut> cuts = kind_ == Kind::kUnigram ? Unigram(normal)
                                : kind_ == Kind::kBpe   ? Bpe(normal)
                                : kind_ == Kind::kWord  ? Words(normal)
                                                        : Characters(normal);
  bool after_unknown = false;
  for (const Cut& cut : cuts) {
    const bool unknown = cut.id == unknown_;
    if (unknown && !byte_ids_.empty()) {
      for (const char byte : cut.text) ids->push_back(byte_ids_[static_cast<unsigned char>(byte)]);
    } else if (!unknown || !after_unknown) {
      ids->push_back(cut.id);
    }
    after_unknown = unknown;
  }
}

std::vector<SentencePieceSegmenter::Cut> SentencePieceSegmenter::Unigram(
    absl::string_view normal) const {
  struct Node {
    int32_t id = 0;
    float score = 0;     // of the best path that ends here, rounded as SentencePiece rounds it
    int64_t begin = -1;  // of its last piece; -1: no path yet
  };
  std::vector<Node> ends(normal.size() + 1);
  for (size_t begin = 0; begin < normal.size();) {
    const float before = ends[begin].score;
    const auto offer = [&](size_t length, int32_t id, double score) {
      Node& node = ends[begin + length];
      if (node.begin < 0 || score > node.score)
        node = {id, static_cast<float>(score), static_cast<int64_t>(begin)};
    };
    const size_t character = NextUtf8(normal, begin).length;
    bool has_character = false;
    trie_.Prefixes(normal.substr(begin), [&](size_t length, int32_t id) {
      const Piece& piece = pieces_[static_cast<size_t>(id)];
      // A user-defined piece beats whatever it could be cut into.
      const double score =
          piece.user_defined ? static_cast<float>(length) * highest_ - 0.1 : piece.score;
      offer(length, id, score + before);
      has_character = has_character || length == character;
    });
    if (!has_character) offer(character, unknown_, (lowest_ - kUnknownPenalty) + before);
    begin += character;
  }
  std::vector<Cut> cuts;
  for (size_t end = normal.size(); end > 0;) {
    const auto begin = static_cast<size_t>(ends[end].begin);
    cuts.push_back({normal.substr(begin, end - begin), ends[end].id});
    end = begin;
  }
  std::reverse(cuts.begin(), cuts.end());
  return cuts;
}

std::vector<SentencePieceSegmenter::Cut> SentencePieceSegmenter::Bpe(
    absl::string_view normal) const {
  std::vector<Cut> cuts;
  while (!normal.empty()) {
    const size_t length = words_begin_with_space_ ? WordLength(normal) : normal.size();
    BpeOfWord(normal.substr(0, length), &cuts);
    normal.remove_prefix(length);
  }
  return cuts;
}

void SentencePieceSegmenter::BpeOfWord(absl::string_view word, std::vector<Cut>* cuts) const {
  struct Symbol {
    absl::string_view text;  // empty: joined to the one before
    int64_t before = -1, next = -1;
    bool whole = false;  // user-defined
  };
  struct Pair {
    float score;
    int64_t left, right;
    size_t size;
    bool operator<(const Pair& other) const {  // the best is the greatest
      return std::tie(score, other.left) < std::tie(other.score, left);
    }
  };
  std::vector<Symbol> symbols;
  for (size_t at = 0; at < word.size(); at += symbols.back().text.size()) {
    const absl::string_view rest = word.substr(at);
    const auto index = static_cast<int64_t>(symbols.size());
    symbols.push_back(
        {rest.substr(0, Unit(rest)), index - 1, index + 1, user_defined_.Longest(rest) > 0});
  }
  symbols.back().next = -1;
  std::priority_queue<Pair> pairs;
  // Unused pieces are joined, but taken apart again in the end.
  absl::flat_hash_map<absl::string_view, std::pair<absl::string_view, absl::string_view>> unused;
  const auto consider = [&](int64_t left, int64_t right) {
    if (left < 0 || right < 0) return;
    const Symbol &a = symbols[static_cast<size_t>(left)], &b = symbols[static_cast<size_t>(right)];
    if (a.whole || b.whole) return;
    const absl::string_view both(a.text.data(), a.text.size() + b.text.size());
    const int32_t id = IdOf(both);
    if (id < 0 || !pieces_[static_cast<size_t>(id)].in_text) return;
    pairs.push({pieces_[static_cast<size_t>(id)].score, left, right, both.size()});
    if (pieces_[static_cast<size_t>(id)].unused) unused[both] = {a.text, b.text};
  };
  for (size_t i = 1; i < symbols.size(); ++i)
    consider(static_cast<int64_t>(i) - 1, static_cast<int64_t>(i));
  while (!pairs.empty()) {
    const Pair pair = pairs.top();
    pairs.pop();
    Symbol &left = symbols[static_cast<size_t>(pair.left)],
           &right = symbols[static_cast<size_t>(pair.right)];
    // It is stale if one of the two was joined meanwhile.
    if (left.text.empty() || right.text.empty() ||
        left.text.size() + right.text.size() != pair.size)
      continue;
    left.text = {left.text.data(), pair.size};
    left.next = right.next;
    if (right.next >= 0) symbols[static_cast<size_t>(right.next)].before = pair.left;
    right.text = {};
    consider(left.before, pair.left);
    consider(pair.left, left.next);
  }
  std::vector<absl::string_view> open;
  for (int64_t i = 0; i >= 0; i = symbols[static_cast<size_t>(i)].next) {
    open = {symbols[static_cast<size_t>(i)].text};
    while (!open.empty()) {
      const absl::string_view text = open.back();
      open.pop_back();
      const int32_t id = IdOrUnknown(text);
      const auto parts = unused.find(text);
      if (pieces_[static_cast<size_t>(id)].unused && parts != unused.end()) {
        open.push_back(parts->second.second);
        open.push_back(parts->second.first);
      } else {
        cuts->push_back({text, id});
      }
    }
  }
}

std::vector<SentencePieceSegmenter::Cut> SentencePieceSegmenter::Words(
    absl::string_view normal) const {
  std::vector<Cut> cuts;
  for (size_t begin = 0; begin < normal.size();) {
    const size_t next = std::min(normal.find(kSpaceMark, begin + 1), normal.size());
    const absl::string_view word = normal.substr(begin, next - begin);
    cuts.push_back({word, IdOrUnknown(word)});
    begin = next;
  }
  return cuts;
}

std::vector<SentencePieceSegmenter::Cut> SentencePieceSegmenter::Characters(
    absl::string_view normal) const {
  std::vector<Cut> cuts;
  for (size_t at = 0; at < normal.size(); at += cuts.back().text.size()) {
    const absl::string_view rest = normal.substr(at);
    const absl::string_view unit = rest.substr(0, Unit(rest));
    cuts.push_back({unit, IdOrUnknown(unit)});
  }
  return cuts;
}

}  // namespace ponder::data

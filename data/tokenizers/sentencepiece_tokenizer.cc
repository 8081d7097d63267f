#include "data/tokenizers/sentencepiece_tokenizer.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"
#include "data/tokenizers/added_tokens.h"
#include "data/tokenizers/sentencepiece_model.pb.h"
#include "data/tokenizers/sentencepiece_normalizer.h"
#include "data/tokenizers/sentencepiece_segmenter.h"
#include "data/tokenizers/token_decoder.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data {
namespace {

using ModelPiece = sentencepiece::SentencePieceModel::Piece;

class SegmentingTokenizer final : public Tokenizer {
 public:
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Make(
      const sentencepiece::SentencePieceModel& model);

  absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view text,
                                              bool add_special) const override;
  std::string Decode(absl::Span<const int32_t> ids, bool skip_special) const override;
  std::string TokenBytes(int32_t id) const override {
    if (id < 0 || id >= vocab_size()) return "";
    const Piece& piece = pieces_[static_cast<size_t>(id)];
    return piece.byte >= 0 ? std::string(1, static_cast<char>(piece.byte)) : piece.text;
  }
  bool IsSpecial(int32_t id) const override {
    return id >= 0 && id < vocab_size() && pieces_[static_cast<size_t>(id)].special;
  }
  std::unique_ptr<Detokenizer> MakeDetokenizer(bool skip_special) const override;
  int32_t TokenId(absl::string_view token) const override { return segmenter_.IdOf(token); }
  int64_t vocab_size() const override { return static_cast<int64_t>(pieces_.size()); }

 private:
  struct Piece {
    std::string text;  // in the middle of a text; of a special one: its name
    bool space_first = false;
    bool special = false;
    int byte = -1;
  };
  class Stream;

  SentencePieceNormalizer normalizer_;
  SentencePieceSegmenter segmenter_;
  AddedTokens special_;
  std::vector<Piece> pieces_;  // by id
  int32_t bos_ = -1;
  // What the beginning of a text loses: one space, or every piece's.
  bool strips_first_ = false, strips_all_ = false;
};

// Text from tokens one by one.
class SegmentingTokenizer::Stream final : public Detokenizer {
 public:
  Stream(const SegmentingTokenizer& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  std::string Push(int32_t id) override {
    std::string text;
    Append(id, &text);
    return text;
  }
  std::string Finish() override {
    std::string text;
    Flush(&text);
    at_start_ = true;
    return text;
  }

  void Append(int32_t id, std::string* text) {
    if (id < 0 || id >= tokenizer_.vocab_size()) return;
    const Piece& piece = tokenizer_.pieces_[static_cast<size_t>(id)];
    if (piece.special && skip_special_) return;
    if (piece.byte >= 0) {
      bytes_.push_back(static_cast<char>(piece.byte));
      at_start_ = false;
      AppendBytes(/*all=*/false, text);
      return;
    }
    Flush(text);
    absl::string_view shown = piece.text;
    const bool strips = at_start_ && piece.space_first && tokenizer_.strips_first_;
    if (strips) shown.remove_prefix(1);
    if (!shown.empty() || (strips && !tokenizer_.strips_all_)) at_start_ = false;
    text->append(shown.data(), shown.size());
  }
  void Flush(std::string* text) { AppendBytes(/*all=*/true, text); }

 private:
  // Characters as they get whole; U+FFFD for each byte that is of none.
  void AppendBytes(bool all, std::string* text) {
    size_t done = 0;
    while (done < bytes_.size()) {
      const Utf8Step step = NextUtf8(bytes_, done);
      if (step.truncated && !all) break;
      text->append(step.valid ? bytes_.substr(done, step.length) : "\xEF\xBF\xBD");
      done += step.valid ? step.length : 1;
    }
    bytes_.erase(0, done);
  }

  const SegmentingTokenizer& tokenizer_;
  const bool skip_special_;
  std::string bytes_;     // the beginning of a character
  bool at_start_ = true;  // there is no text yet
};

absl::StatusOr<std::shared_ptr<const Tokenizer>> SegmentingTokenizer::Make(
    const sentencepiece::SentencePieceModel& model) {
  auto made = std::make_shared<SegmentingTokenizer>();
  PONDER_ASSIGN_OR_RETURN(made->segmenter_, SentencePieceSegmenter::Make(model));
  PONDER_ASSIGN_OR_RETURN(made->normalizer_, SentencePieceNormalizer::Make(model));
  for (int32_t id = 0; id < model.pieces_size(); ++id) {
    const auto& source = model.pieces(id);
    Piece piece;
    piece.special = source.type() == ModelPiece::CONTROL || source.type() == ModelPiece::UNKNOWN;
    if (source.type() == ModelPiece::BYTE) piece.byte = ByteOfToken(source.piece());
    if (piece.special) {
      AddedToken token;
      token.id = id;
      token.content = source.piece();
      made->special_.Add(std::move(token));
      piece.text = source.piece();
    } else {
      piece.text = absl::StrReplaceAll(source.piece(), {{kSpaceMark, " "}});
      piece.space_first = absl::StartsWith(source.piece(), kSpaceMark);
    }
    made->pieces_.push_back(std::move(piece));
  }
  const int bos = model.trainer().bos_id();
  if (bos >= 0 && bos < model.pieces_size() && model.pieces(bos).type() == ModelPiece::CONTROL)
    made->bos_ = bos;
  made->strips_all_ = model.normalizer().remove_extra_whitespaces();
  made->strips_first_ = made->strips_all_ || model.normalizer().add_dummy_prefix();
  return made;
}

absl::StatusOr<std::vector<int32_t>> SegmentingTokenizer::Encode(absl::string_view text,
                                                                 bool add_special) const {
  std::string replaced;
  text = ValidUtf8(text, &replaced);
  std::vector<int32_t> ids;
  if (add_special && bos_ >= 0) ids.push_back(bos_);
  for (const AddedTokens::Segment& segment : special_.Cut(text)) {
    if (segment.token >= 0) {
      ids.push_back(segment.token);
    } else {
      segmenter_.Encode(normalizer_.Apply(segment.text, segmenter_.user_defined()), &ids);
    }
  }
  return ids;
}

std::string SegmentingTokenizer::Decode(absl::Span<const int32_t> ids, bool skip_special) const {
  Stream stream(*this, skip_special);
  std::string text;
  for (const int32_t id : ids) stream.Append(id, &text);
  stream.Flush(&text);
  return text;
}

std::unique_ptr<Detokenizer> SegmentingTokenizer::MakeDetokenizer(bool skip_special) const {
  return std::make_unique<Stream>(*this, skip_special);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Tokenizer>> MakeSegmentingTokenizer(
    const sentencepiece::SentencePieceModel& model) {
  return SegmentingTokenizer::Make(model);
}

}  // namespace ponder::data

// A BPE model of SentencePiece merges the two neighbours whose union is the piece with the highest
// score. That is a list of merges by falling score, so the model becomes what transformers would
// write as tokenizer.json, and MakeJsonTokenizer runs it. Models that are more than that are cut
// into pieces by sentencepiece_tokenizer.h.
#include "data/tokenizers/sentencepiece_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/tokenizers/json_tokenizer.h"
#include "data/tokenizers/sentencepiece_model.pb.h"
#include "data/tokenizers/sentencepiece_normalizer.h"
#include "data/tokenizers/sentencepiece_tokenizer.h"
#include "data/tokenizers/unicode_text.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace {

using Json = nlohmann::json;
using Model = sentencepiece::SentencePieceModel;

constexpr int kBpe = 2;

// What of the model a tokenizer.json can't say; empty: nothing.
std::string BeyondJson(const Model& model) {
  const Model::Normalizer& normalizer = model.normalizer();
  if (model.trainer().model_type() != kBpe) return "its trainer_spec.model_type is not BPE";
  if (model.trainer().treat_whitespace_as_suffix())
    return "trainer_spec.treat_whitespace_as_suffix is set";
  if (!normalizer.precompiled_charsmap().empty())
    return absl::StrCat("its text is normalised by ",
                        absl::CHexEscape(normalizer.name().substr(0, 80)));
  if (normalizer.remove_extra_whitespaces())
    return "normalizer_spec.remove_extra_whitespaces is set";
  if (!normalizer.escape_whitespaces()) return "normalizer_spec.escape_whitespaces is not set";
  for (const Model::Piece& piece : model.pieces())
    if (piece.type() == Model::Piece::UNUSED) return "it has unused pieces";
  return "";
}

absl::Status CheckPieces(const Model& model) {
  absl::flat_hash_set<absl::string_view> seen;
  for (int32_t id = 0; id < model.pieces_size(); ++id) {
    const Model::Piece& piece = model.pieces(id);
    const std::string name = absl::StrCat("pieces[", id, "]");
    if (piece.piece().empty() || !IsValidUtf8(piece.piece()))
      return absl::InvalidArgumentError(absl::StrCat(name, " is empty or not UTF-8"));
    if (!(std::abs(piece.score()) <= std::numeric_limits<float>::max()))
      return absl::InvalidArgumentError(absl::StrCat(name, " has a score that is no number"));
    if (!seen.insert(piece.piece()).second)
      return absl::InvalidArgumentError(absl::StrCat(name, " is there twice"));
  }
  return absl::OkStatus();
}

// A model whose pieces are texts with scores, each once.
absl::StatusOr<Model> ReadModel(const std::string& bytes, const std::string& path) {
  constexpr size_t kMaxBytes = 64 << 20;
  Model model;
  if (bytes.size() > kMaxBytes || !model.ParseFromString(bytes) || model.pieces_size() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is not a SentencePiece model, or it is damaged"));
  }
  if (!model.denormalizer().precompiled_charsmap().empty()) {
    return absl::UnimplementedError(
        absl::StrCat(path,
                     ": decoded text is changed by denormalizer_spec, which is not "
                     "supported"));
  }
  PONDER_RETURN_IF_ERROR(Annotate(CheckPieces(model), path));
  return model;
}

struct Merge {
  absl::string_view left, right;
  float score = 0;
  int32_t left_id = 0, right_id = 0;
};

// Every way to put a piece together of two others, the highest score first.
std::vector<Merge> Merges(const Model& model,
                          const absl::flat_hash_map<absl::string_view, int32_t>& ids) {
  std::vector<Merge> merges;
  for (const Model::Piece& piece : model.pieces()) {
    if (piece.type() == Model::Piece::CONTROL || piece.type() == Model::Piece::UNKNOWN ||
        piece.type() == Model::Piece::BYTE)
      continue;
    const absl::string_view text = piece.piece();
    for (size_t cut = 1; cut < text.size(); ++cut) {
      const auto left = ids.find(text.substr(0, cut)), right = ids.find(text.substr(cut));
      if (left == ids.end() || right == ids.end()) continue;
      merges.push_back({left->first, right->first, piece.score(), left->second, right->second});
    }
  }
  std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::make_tuple(-a.score, a.left_id, a.right_id) <
           std::make_tuple(-b.score, b.left_id, b.right_id);
  });
  return merges;
}

absl::StatusOr<Json> TokenizerJson(const Model& model) {
  absl::flat_hash_map<absl::string_view, int32_t> ids;
  Json vocab = Json::object(), added = Json::array();
  std::string unknown;
  for (int32_t id = 0; id < model.pieces_size(); ++id) {
    const Model::Piece& piece = model.pieces(id);
    ids.emplace(piece.piece(), id);
    vocab[piece.piece()] = id;
    if (piece.type() == Model::Piece::UNKNOWN) unknown = piece.piece();
    if (piece.type() == Model::Piece::UNKNOWN || piece.type() == Model::Piece::CONTROL ||
        piece.type() == Model::Piece::USER_DEFINED)
      added.push_back({{"id", id},
                       {"content", piece.piece()},
                       {"special", piece.type() != Model::Piece::USER_DEFINED},
                       {"normalized", false}});
  }
  Json merges = Json::array();
  for (const Merge& merge : Merges(model, ids))
    merges.push_back({std::string(merge.left), std::string(merge.right)});
  const bool prefix = model.normalizer().add_dummy_prefix();
  Json normalizers = Json::array();
  if (prefix) normalizers.push_back({{"type", "Prepend"}, {"prepend", kSpaceMark}});
  normalizers.push_back(
      {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpaceMark}});
  Json decoders = {{{"type", "Replace"}, {"pattern", {{"String", kSpaceMark}}}, {"content", " "}},
                   {{"type", "ByteFallback"}},
                   {{"type", "Fuse"}}};
  if (prefix) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  Json json = {{"added_tokens", added},
               {"normalizer", {{"type", "Sequence"}, {"normalizers", normalizers}}},
               {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
               {"model",
                {{"type", "BPE"},
                 {"byte_fallback", model.trainer().byte_fallback()},
                 {"fuse_unk", true},
                 {"vocab", vocab},
                 {"merges", merges}}}};
  if (!unknown.empty()) json["model"]["unk_token"] = unknown;
  const int bos = model.trainer().bos_id();
  if (bos >= 0 && bos < model.pieces_size() && model.pieces(bos).type() == Model::Piece::CONTROL) {
    const std::string& text = model.pieces(bos).piece();
    json["post_processor"] = {
        {"type", "TemplateProcessing"},
        {"single",
         {{{"SpecialToken", {{"id", text}, {"type_id", 0}}}},
          {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
        {"special_tokens", {{text, {{"id", text}, {"ids", {bos}}, {"tokens", {text}}}}}}};
  }
  return json;
}

}  // namespace

absl::StatusOr<std::string> SentencePieceAsJson(const std::string& bytes, const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const Model model, ReadModel(bytes, path));
  if (const std::string why = BeyondJson(model); !why.empty()) {
    return absl::UnimplementedError(
        absl::StrCat(path, " can't be written as a tokenizer.json or into a GGUF file: ", why));
  }
  const absl::StatusOr<Json> json = TokenizerJson(model);
  if (!json.ok()) return Annotate(json.status(), path);
  return json->dump();
}

absl::StatusOr<std::shared_ptr<const Tokenizer>> MakeSentencePieceTokenizer(
    const std::string& bytes, const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const Model model, ReadModel(bytes, path));
  if (!BeyondJson(model).empty()) {
    auto made = MakeSegmentingTokenizer(model);
    return made.ok() ? std::move(made) : Annotate(made.status(), path);
  }
  PONDER_ASSIGN_OR_RETURN(const std::string json, SentencePieceAsJson(bytes, path));
  return MakeJsonTokenizer(json, path);
}

}  // namespace ponder::data

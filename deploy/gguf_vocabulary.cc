#include "deploy/gguf_vocabulary.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "data/tokenizers/sentencepiece_model.h"
#include "data/tokenizers/tokenizer.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {
namespace {

using Json = nlohmann::json;
using Kind = moe::GgufVocabulary::Kind;
using Ids = absl::flat_hash_map<std::string, int32_t>;

constexpr char kMetaspace[] = "\xE2\x96\x81";  // ▁
// How llama.cpp names what cuts text into words: the patterns of the Split steps, whether ByteLevel
// cuts with GPT-2's pattern, and whether a word that is a token is taken whole.
constexpr const char* kPreTokenizers[] = {
    R"({"pre": "gpt-2", "splits": [], "use_regex": true, "ignore_merges": false})",
    R"({"pre": "qwen2", "splits": ["(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"], "use_regex": false, "ignore_merges": false})",
    R"({"pre": "llama-bpe", "splits": ["(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"], "use_regex": false, "ignore_merges": true})",
    R"({"pre": "deepseek-v3", "splits": ["\\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"], "use_regex": false, "ignore_merges": false})",
};

absl::Status Unsupported(absl::string_view what) {
  return absl::UnimplementedError(
      absl::StrCat("llama.cpp has no tokenizer like this one: ", what, "; take --format hf"));
}

// The steps of a normalizer or pre_tokenizer, Sequences written out.
void Flatten(const Json& node, const char* key, Json* steps) {
  if (!node.is_object()) return;
  if (node.value("type", "") != "Sequence") {
    steps->push_back(node);
    return;
  }
  for (const Json& part : node.value(key, Json::array())) Flatten(part, key, steps);
}

std::pair<std::string, std::string> MergeOf(const Json& merge) {
  if (merge.is_array()) return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  const std::string text = merge.get<std::string>();
  const size_t space = text.find(' ');
  return {text.substr(0, space), text.substr(space + 1)};
}

absl::Status ReadByteLevel(const Json& json, const Json& steps, moe::GgufVocabulary* out) {
  for (const Json& step : steps) {
    if (step.value("type", "") != "ByteLevel" &&
        (step.value("type", "") != "Split" || step.value("behavior", "") != "Isolated" ||
         step.value("invert", false) || !step["pattern"].contains("Regex")))
      return Unsupported(absl::StrCat("its pre_tokenizer has a ", step.value("type", "")));
    if (step.value("type", "") == "ByteLevel" && step.value("add_prefix_space", true))
      return Unsupported("its pre_tokenizer has add_prefix_space");
  }
  Json ours = {{"splits", Json::array()}, {"use_regex", false}};
  for (const Json& step : steps) {
    if (step.value("type", "") == "Split") ours["splits"].push_back(step["pattern"]["Regex"]);
    if (step.value("type", "") == "ByteLevel") ours["use_regex"] = step.value("use_regex", true);
  }
  ours["ignore_merges"] = json["model"].value("ignore_merges", false);
  for (const char* text : kPreTokenizers) {
    Json known = Json::parse(text);
    const std::string pre = known["pre"];
    known.erase("pre");
    if (known == ours) out->pre = pre;
  }
  if (out->pre.empty()) return Unsupported("its pre_tokenizer or ignore_merges");
  out->model = "gpt2";
  for (const Json& merge : json["model"]["merges"]) {
    const auto [left, right] = MergeOf(merge);
    out->merges.push_back(absl::StrCat(left, " ", right));
  }
  return absl::OkStatus();
}

// llama.cpp joins the neighbours whose union is the token of the highest score, whatever the union
// is made of. That is a list of merges if it has every way to make a token, and makes one token
// after another.
absl::Status ReadScores(const Json& merges, const Ids& ids, moe::GgufVocabulary* out) {
  absl::flat_hash_map<std::string, int64_t> ways;  // left, '\0', right -> rank
  std::vector<int32_t> made;                       // by rank
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto [left, right] = MergeOf(merges[rank]);
    ways[left + '\0' + right] = static_cast<int64_t>(rank);
    made.push_back(ids.at(left + right));
  }
  out->scores.assign(out->texts.size(), 0);
  float score = 0;
  for (size_t rank = 0; rank < made.size(); ++rank) {
    if (rank > 0 && made[rank] == made[rank - 1]) continue;
    float& of_token = out->scores[static_cast<size_t>(made[rank])];
    if (of_token != 0) return Unsupported("its model.merges make a token in two places");
    of_token = score -= 1;
  }
  for (const auto& [text, id] : ids) {
    const Kind kind = out->kinds[static_cast<size_t>(id)];
    if (kind != Kind::kNormal) continue;
    for (size_t cut = 1; cut < text.size(); ++cut) {
      const std::string left = text.substr(0, cut), right = text.substr(cut);
      if (ids.contains(left) && ids.contains(right) && !ways.contains(left + '\0' + right))
        return Unsupported(absl::StrCat("its model.merges don't join '", left, "' and '", right,
                                        "', though their union is a token"));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadSentencePiece(const Json& json, const Json& normalizers, const Json& steps,
                               const Ids& ids, moe::GgufVocabulary* out) {
  const Json prepend = {{"type", "Prepend"}, {"prepend", kMetaspace}};
  const Json replace = {
      {"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kMetaspace}};
  out->add_space_prefix = normalizers == Json::array({prepend, replace});
  if (!out->add_space_prefix && normalizers != Json::array({replace}))
    return Unsupported("its normalizer");
  if (!steps.empty()) return Unsupported("its pre_tokenizer");
  out->model = "llama";
  out->pre = "default";
  const Json unknown = json["model"].value("unk_token", Json());
  for (size_t id = 0; id < out->texts.size(); ++id) {
    const std::string& text = out->texts[id];
    if (text.size() == 6 && text.compare(0, 3, "<0x") == 0) out->kinds[id] = Kind::kByte;
    if (Json(text) == unknown) {
      out->kinds[id] = Kind::kUnknown;
      out->unknown_token = static_cast<int32_t>(id);
    }
  }
  return ReadScores(json["model"]["merges"], ids, out);
}

absl::Status ReadTokens(const Json& json, int64_t vocab_size, Ids* ids, moe::GgufVocabulary* out) {
  out->texts.resize(static_cast<size_t>(vocab_size));
  out->kinds.resize(static_cast<size_t>(vocab_size), Kind::kUnused);
  const auto add = [&](const std::string& text, int64_t id, Kind kind) {
    if (id >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("the tokenizer has the id ", id, ", but vocab_size is ", vocab_size));
    }
    out->texts[static_cast<size_t>(id)] = text;
    out->kinds[static_cast<size_t>(id)] = kind;
    (*ids)[text] = static_cast<int32_t>(id);
    return absl::OkStatus();
  };
  for (const auto& [text, id] : json["model"]["vocab"].items())
    PONDER_RETURN_IF_ERROR(add(text, id, Kind::kNormal));
  for (const Json& token : json.value("added_tokens", Json::array())) {
    PONDER_RETURN_IF_ERROR(
        add(token["content"], token["id"],
            token.value("special", false) ? Kind::kControl : Kind::kUserDefined));
  }
  for (size_t id = 0; id < out->texts.size(); ++id)
    if (out->texts[id].empty()) out->texts[id] = absl::StrCat("[PAD", id, "]");
  return absl::OkStatus();
}

// What the post-processor puts around a text: BOS in front, EOS behind, or neither.
absl::Status ReadFrame(const data::Tokenizer& tokenizer, moe::GgufVocabulary* out) {
  PONDER_ASSIGN_OR_RETURN(const auto bare, tokenizer.Encode("a", /*add_special=*/false));
  PONDER_ASSIGN_OR_RETURN(const auto framed, tokenizer.Encode("a", /*add_special=*/true));
  const auto at = std::search(framed.begin(), framed.end(), bare.begin(), bare.end());
  const int64_t before = at - framed.begin();
  const int64_t after = static_cast<int64_t>(framed.size() - bare.size()) - before;
  if (at == framed.end() || before > 1 || after > 1 ||
      (after == 1 && framed.back() != out->eos_token))
    return Unsupported("its post_processor");
  out->add_bos = before == 1;
  out->add_eos = after == 1;
  if (before == 1) out->bos_token = framed.front();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<moe::GgufVocabulary> GgufVocabularyOf(const std::string& folder,
                                                     const moe::ModelConfig& config) {
  PONDER_ASSIGN_OR_RETURN(const auto tokenizer, data::LoadTokenizer(folder));  // it is well formed
  absl::StatusOr<std::string> text = ReadFile(folder + "/tokenizer.json");
  if (absl::IsNotFound(text.status())) {
    const std::string path = folder + "/tokenizer.model";
    PONDER_ASSIGN_OR_RETURN(const std::string model, ReadFile(path));
    text = data::SentencePieceAsJson(model, path);
  }
  PONDER_RETURN_IF_ERROR(text.status());
  const Json json = Json::parse(*text);
  moe::GgufVocabulary vocabulary;
  vocabulary.eos_token = config.eos_token_id;
  Ids ids;
  PONDER_RETURN_IF_ERROR(ReadTokens(json, config.vocab_size, &ids, &vocabulary));
  Json normalizers = Json::array(), steps = Json::array();
  Flatten(json.value("normalizer", Json()), "normalizers", &normalizers);
  Flatten(json.value("pre_tokenizer", Json()), "pretokenizers", &steps);
  const bool byte_level = std::any_of(steps.begin(), steps.end(), [](const Json& step) {
    return step.value("type", "") == "ByteLevel";
  });
  if (byte_level) {
    // llama.cpp leaves text as it is; NFC changes what few write.
    for (const Json& normalizer : normalizers)
      if (normalizer.value("type", "") != "NFC") return Unsupported("its normalizer");
    PONDER_RETURN_IF_ERROR(ReadByteLevel(json, steps, &vocabulary));
  } else {
    PONDER_RETURN_IF_ERROR(ReadSentencePiece(json, normalizers, steps, ids, &vocabulary));
  }
  PONDER_RETURN_IF_ERROR(ReadFrame(*tokenizer, &vocabulary));
  return vocabulary;
}

}  // namespace ponder::deploy

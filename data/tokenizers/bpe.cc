#include "data/tokenizers/bpe.h"

#include <algorithm>
#include <queue>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "data/tokenizers/unicode_text.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace {

constexpr char kMetaspace[] = "\xE2\x96\x81";  // ▁

// Whether a "▁" follows something else in `text`.
bool HasInnerMetaspace(absl::string_view text) {
  while (absl::StartsWith(text, kMetaspace)) text.remove_prefix(3);
  return absl::StrContains(text, kMetaspace);
}

// A merge as one string "a b" or as two.
absl::StatusOr<std::pair<std::string, std::string>> MergeFrom(const JsonNode& node) {
  const nlohmann::json& value = node.value();
  if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos)
      return std::make_pair(text.substr(0, space), text.substr(space + 1));
  } else if (value.is_array() && value.size() == 2 && value[0].is_string() &&
             value[1].is_string()) {
    return std::make_pair(value[0].get<std::string>(), value[1].get<std::string>());
  }
  return node.Error("must be two tokens: \"a b\" or [\"a\", \"b\"]");
}

}  // namespace

int64_t MaxTokenId(size_t tokens) { return 8 * static_cast<int64_t>(tokens) + 100'000; }

absl::StatusOr<Bpe> Bpe::FromJson(const JsonNode& model) {
  // Files of old have no "type" for BPE.
  if (const auto type = model.Find("type"); type.has_value()) {
    PONDER_ASSIGN_OR_RETURN(const std::string name, type->String());
    if (name != "BPE") return type->Error(absl::StrCat("is ", name, "; only BPE is supported"));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto affix = model.Find(key);
    if (affix.has_value() && affix->value() != "")
      return affix->Error("is not supported; it must be empty");
  }
  if (const auto dropout = model.Find("dropout"); dropout.has_value() && dropout->value() != 0)
    return dropout->Error("is not supported; it must be null");
  Bpe bpe;
  PONDER_ASSIGN_OR_RETURN(const JsonNode vocab, model.At("vocab"));
  PONDER_RETURN_IF_ERROR(bpe.ReadVocab(vocab));
  PONDER_ASSIGN_OR_RETURN(const JsonNode merges, model.At("merges"));
  PONDER_RETURN_IF_ERROR(bpe.ReadMerges(merges));
  PONDER_RETURN_IF_ERROR(bpe.ReadUnknown(model));
  PONDER_ASSIGN_OR_RETURN(bpe.ignore_merges_, model.BoolOr("ignore_merges", false));
  return bpe;
}

absl::Status Bpe::ReadVocab(const JsonNode& node) {
  if (!node.value().is_object()) return node.Error("must be an object of tokens and their ids");
  vocab_.reserve(node.value().size());
  const int64_t most = MaxTokenId(node.value().size());
  for (const auto& [token, id] : node.value().items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > most) {
      return node.Error(absl::StrCat("gives \"", absl::CHexEscape(token), "\" the id ",
                                     id.is_primitive() ? id.dump(-1, ' ', true) : "[...]",
                                     "; with ", node.value().size(),
                                     " tokens it must be a whole number from 0 to ", most));
    }
    vocab_.emplace(token, id.get<int32_t>());
  }
  ascii_ids_.assign(128, -1);
  for (int c = 0; c < 128; ++c)
    ascii_ids_[static_cast<size_t>(c)] = IdOf(std::string(1, static_cast<char>(c)));
  return absl::OkStatus();
}

absl::Status Bpe::ReadMerges(const JsonNode& node) {
  if (!node.value().is_array()) return node.Error("must be an array");
  const size_t count = node.value().size();
  merges_.reserve(count);
  words_begin_with_metaspace_ = IdOf(kMetaspace) >= 0;
  for (size_t rank = 0; rank < count; ++rank) {
    const JsonNode merge = node.Element(rank);
    PONDER_ASSIGN_OR_RETURN(const auto pair, MergeFrom(merge));
    const std::string joined = pair.first + pair.second;
    for (const std::string& token : {pair.first, pair.second, joined}) {
      if (IdOf(token) < 0) {
        return merge.Error(
            absl::StrCat("has '", absl::CHexEscape(token), "', which is not in model.vocab"));
      }
    }
    merges_.insert_or_assign(Pair(IdOf(pair.first), IdOf(pair.second)),
                             Merge{static_cast<uint32_t>(rank), IdOf(joined)});
    words_begin_with_metaspace_ = words_begin_with_metaspace_ && !HasInnerMetaspace(joined);
  }
  return absl::OkStatus();
}

absl::Status Bpe::ReadUnknown(const JsonNode& model) {
  PONDER_ASSIGN_OR_RETURN(fuse_unknown_, model.BoolOr("fuse_unk", false));
  if (const auto unknown = model.Find("unk_token"); unknown.has_value()) {
    PONDER_ASSIGN_OR_RETURN(const std::string token, unknown->String());
    unknown_ = IdOf(token);
    if (unknown_ < 0) return unknown->Error("is not in model.vocab");
  }
  PONDER_ASSIGN_OR_RETURN(const bool byte_fallback, model.BoolOr("byte_fallback", false));
  if (!byte_fallback) return absl::OkStatus();
  for (int byte = 0; byte < 256; ++byte) {
    byte_ids_.push_back(IdOf(absl::StrFormat("<0x%02X>", byte)));
    // An unknown run that a byte interrupts would cross the cut.
    if (byte_ids_.back() < 0) words_begin_with_metaspace_ = false;
  }
  return absl::OkStatus();
}

int32_t Bpe::IdOf(absl::string_view token) const {
  const auto found = vocab_.find(token);
  return found == vocab_.end() ? -1 : found->second;
}

bool Bpe::AppendBytes(absl::string_view character, std::vector<int32_t>* ids) const {
  if (byte_ids_.empty()) return false;
  for (const char byte : character)
    if (byte_ids_[static_cast<unsigned char>(byte)] < 0) return false;
  for (const char byte : character) ids->push_back(byte_ids_[static_cast<unsigned char>(byte)]);
  return true;
}

void Bpe::Symbols(absl::string_view word, std::vector<int32_t>* ids) const {
  bool unknown_open = false;  // an unknown token is due, but the run may go on
  for (size_t i = 0; i < word.size();) {
    const auto lead = static_cast<unsigned char>(word[i]);
    const size_t length = lead < 0x80 ? 1 : NextUtf8(word, i).length;
    const absl::string_view character = word.substr(i, length);
    i += length;
    const int32_t id = lead < 0x80 ? ascii_ids_[lead] : IdOf(character);
    if (id >= 0) {
      if (unknown_open) ids->push_back(unknown_);
      unknown_open = false;
      ids->push_back(id);
    } else if (!AppendBytes(character, ids) && unknown_ >= 0) {
      if (unknown_open && !fuse_unknown_) ids->push_back(unknown_);
      unknown_open = true;
    }
  }
  if (unknown_open) ids->push_back(unknown_);
}

void Bpe::Encode(absl::string_view word, std::vector<int32_t>* ids) const {
  if (word.empty()) return;
  if (ignore_merges_) {
    const int32_t whole = IdOf(word);
    if (whole >= 0) {
      ids->push_back(whole);
      return;
    }
  }
  // Symbols in a doubly linked list; a merge drops its right one.
  static thread_local std::vector<int32_t> symbol, next, before;
  symbol.clear();
  Symbols(word, &symbol);
  const auto count = static_cast<int32_t>(symbol.size());
  next.resize(symbol.size());
  before.resize(symbol.size());
  struct Candidate {
    uint32_t rank;
    int32_t position;                               // of the left one
    int32_t id;                                     // of what the two make
    bool operator<(const Candidate& other) const {  // the best is the greatest
      return std::tie(other.rank, other.position) < std::tie(rank, position);
    }
  };
  static thread_local std::vector<Candidate> heap;
  heap.clear();
  const auto merge_at = [&](int32_t left) -> const Merge* {
    if (left < 0 || next[left] >= count) return nullptr;
    const auto found = merges_.find(Pair(symbol[left], symbol[next[left]]));
    return found == merges_.end() ? nullptr : &found->second;
  };
  const auto consider = [&](int32_t left) {
    if (const Merge* merge = merge_at(left)) {
      heap.push_back({merge->rank, left, merge->id});
      std::push_heap(heap.begin(), heap.end());
    }
  };
  for (int32_t i = 0; i < count; ++i) {
    next[i] = i + 1;
    before[i] = i - 1;
  }
  for (int32_t i = 0; i + 1 < count; ++i) {
    if (const Merge* merge = merge_at(i)) heap.push_back({merge->rank, i, merge->id});
  }
  std::make_heap(heap.begin(), heap.end());
  while (!heap.empty()) {
    const Candidate best = heap.front();
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    // It may be stale: one of the two may have been merged meanwhile.
    const int32_t left = best.position;
    if (symbol[left] < 0) continue;
    const Merge* merge = merge_at(left);
    if (merge == nullptr || merge->id != best.id) continue;
    const int32_t right = next[left];
    symbol[left] = best.id;
    symbol[right] = -1;
    next[left] = next[right];
    if (next[left] < count) before[next[left]] = left;
    consider(before[left]);
    consider(left);
  }
  for (int32_t i = 0; i < count; i = next[i]) ids->push_back(symbol[i]);
}

}  // namespace ponder::data

#include "data/tokenizers/token_decoder.h"

#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"
#include "base/status.h"
#include "data/tokenizers/normalizer.h"
#include "data/tokenizers/unicode_text.h"

namespace ponder::data {
namespace {

// GPT-2's alphabet, from its encoder.py: printable Latin-1 stands for itself, the other bytes take
// U+0100 and what follows, in order.
struct ByteAlphabet {
  ByteAlphabet() {
    byte_of.fill(-1);
    char32_t other = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
                             (byte >= 0xAE && byte <= 0xFF);
      const char32_t code = printable ? static_cast<char32_t>(byte) : other++;
      AppendUtf8(code, &spelling[static_cast<size_t>(byte)]);
      byte_of[code] = byte;
    }
  }
  std::array<std::string, 256> spelling;
  std::array<int, 0x144> byte_of;
};

const ByteAlphabet& Alphabet() {
  static const auto* alphabet = new ByteAlphabet;
  return *alphabet;
}

// What a run of bytes becomes: text, or one U+FFFD for each.
template <typename Append>
void AppendBytes(absl::string_view bytes, const Append& append) {
  if (IsValidUtf8(bytes)) {
    append(bytes);
  } else {
    for (size_t i = 0; i < bytes.size(); ++i) append("\xEF\xBF\xBD");
  }
}

std::vector<std::string> JoinBytes(const std::vector<std::string>& tokens) {
  std::vector<std::string> joined;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    AppendBytes(bytes, [&](absl::string_view text) { joined.emplace_back(text); });
    bytes.clear();
  };
  for (const std::string& token : tokens) {
    const int byte = ByteOfToken(token);
    if (byte >= 0) {
      bytes.push_back(static_cast<char>(byte));
    } else {
      flush();
      joined.push_back(token);
    }
  }
  flush();
  return joined;
}

// Up to `start` and `stop` times `content` cut from the ends.
std::string StripEnds(absl::string_view token, absl::string_view content, int64_t start,
                      int64_t stop) {
  for (; start > 0 && absl::StartsWith(token, content); --start)
    token.remove_prefix(content.size());
  for (; stop > 0 && absl::EndsWith(token, content); --stop) token.remove_suffix(content.size());
  return std::string(token);
}

}  // namespace

std::string ByteLevelBytes(absl::string_view token) {
  std::string bytes;
  for (size_t i = 0; i < token.size();) {
    const Utf8Step step = NextUtf8(token, i);
    if (step.code >= Alphabet().byte_of.size() || Alphabet().byte_of[step.code] < 0)
      return std::string(token);
    bytes.push_back(static_cast<char>(Alphabet().byte_of[step.code]));
    i += step.length;
  }
  return bytes;
}

std::string ByteLevelSpelling(absl::string_view bytes) {
  std::string spelling;
  spelling.reserve(2 * bytes.size());
  for (const char byte : bytes)
    spelling.append(Alphabet().spelling[static_cast<unsigned char>(byte)]);
  return spelling;
}

int ByteOfToken(absl::string_view token) {
  if (token.size() != 6 || !absl::StartsWith(token, "<0x") || token[5] != '>') return -1;
  int byte = 0;
  for (const char c : token.substr(3, 2)) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return -1;
    const int digit = absl::ascii_isdigit(static_cast<unsigned char>(c))
                          ? c - '0'
                          : absl::ascii_tolower(static_cast<unsigned char>(c)) - 'a' + 10;
    byte = 16 * byte + digit;
  }
  return byte;
}

absl::StatusOr<TokenDecoder> TokenDecoder::FromJson(const std::optional<JsonNode>& node) {
  TokenDecoder decoder;
  if (!node.has_value()) return decoder;
  decoder.joined_by_space_ = false;
  PONDER_RETURN_IF_ERROR(decoder.Append(*node, 0));
  for (const Step& step : decoder.steps_) {
    using Kind = Step::Kind;
    const bool alone = step.kind == Kind::kReplace || step.kind == Kind::kStrip ||
                       (step.kind == Kind::kMetaspace && !step.strip_first);
    if (!alone) break;
    ++decoder.prepared_;
  }
  // Most decoders only join what is prepared, and then look at the whole.
  size_t at = decoder.prepared_;
  const auto skip = [&](Step::Kind kind) {
    const bool is = at < decoder.steps_.size() && decoder.steps_[at].kind == kind;
    at += is ? 1 : 0;
    return is;
  };
  decoder.joins_bytes_ = skip(Step::Kind::kByteFallback);
  decoder.joins_ = skip(Step::Kind::kFuse) || at == decoder.steps_.size();
  decoder.joined_ = at;
  return decoder;
}

absl::Status TokenDecoder::Append(const JsonNode& node, int depth) {
  if (depth > kMaxSequenceDepth) return node.Error("nests too deep");
  PONDER_ASSIGN_OR_RETURN(const std::string type, node.StringAt("type"));
  if (type == "Sequence") {
    PONDER_ASSIGN_OR_RETURN(const JsonNode list, node.At("decoders"));
    PONDER_ASSIGN_OR_RETURN(const std::vector<JsonNode> parts, list.Elements());
    for (const JsonNode& part : parts) PONDER_RETURN_IF_ERROR(Append(part, depth + 1));
    return absl::OkStatus();
  }
  Step step;
  if (type == "ByteLevel") {
    step.kind = Step::Kind::kByteLevel;
  } else if (type == "ByteFallback") {
    step.kind = Step::Kind::kByteFallback;
  } else if (type == "Fuse") {
    step.kind = Step::Kind::kFuse;
  } else if (type == "Strip") {
    step.kind = Step::Kind::kStrip;
    PONDER_ASSIGN_OR_RETURN(step.content, node.StringAt("content"));
    if (step.content.empty()) return node.Error("has an empty \"content\"");
    PONDER_ASSIGN_OR_RETURN(step.start, node.IntOr("start", 0, 0, 1 << 20));
    PONDER_ASSIGN_OR_RETURN(step.stop, node.IntOr("stop", 0, 0, 1 << 20));
  } else if (type == "Replace") {
    step.kind = Step::Kind::kReplace;
    PONDER_ASSIGN_OR_RETURN(step.pattern, PatternAt(node));
    PONDER_ASSIGN_OR_RETURN(step.content, node.StringAt("content"));
  } else if (type == "Metaspace") {
    step.kind = Step::Kind::kMetaspace;
    PONDER_ASSIGN_OR_RETURN(step.content, node.StringAt("replacement"));
    if (step.content.empty()) return node.Error("has an empty \"replacement\"");
    PONDER_ASSIGN_OR_RETURN(step.strip_first, node.BoolOr("add_prefix_space", true));
    if (const auto scheme = node.Find("prepend_scheme"); scheme.has_value()) {
      PONDER_ASSIGN_OR_RETURN(const std::string name, scheme->String());
      step.strip_first = name != "never";
    }
  } else {
    return node.Error(absl::StrCat("has the type ", type, ", which is not supported"));
  }
  steps_.push_back(std::move(step));
  return absl::OkStatus();
}

bool TokenDecoder::is_byte_level() const {
  return steps_.size() == 1 && steps_[0].kind == Step::Kind::kByteLevel;
}

TokenDecoder::Prepared TokenDecoder::Prepare(std::string token) const {
  Prepared prepared;
  prepared.text = std::move(token);
  for (size_t i = 0; i < prepared_; ++i) prepared.text = Alone(steps_[i], prepared.text);
  prepared.byte = ByteOfToken(prepared.text);
  return prepared;
}

TokenDecoder::Text::Text(const TokenDecoder& decoder, size_t tokens) : decoder_(decoder) {
  if (decoder_.joins_) text_.reserve(4 * tokens);
}

void TokenDecoder::Text::EndBytes() {
  AppendBytes(bytes_, [this](absl::string_view text) { absl::StrAppend(&text_, text); });
  bytes_.clear();
}

std::string TokenDecoder::Text::Finish() {
  if (decoder_.joined_by_space_) return absl::StrJoin(texts_, " ");
  if (!decoder_.joins_) return decoder_.Run(decoder_.prepared_, std::move(texts_));
  if (!bytes_.empty()) EndBytes();
  const size_t done = decoder_.joined_;
  return done == decoder_.steps_.size() ? std::move(text_) : decoder_.Run(done, {std::move(text_)});
}

std::string TokenDecoder::Alone(const Step& step, absl::string_view token) {
  switch (step.kind) {
    case Step::Kind::kStrip:
      return StripEnds(token, step.content, step.start, step.stop);
    case Step::Kind::kReplace: {
      auto replaced = ReplaceMatches(*step.pattern, token, step.content);
      return replaced.ok() ? *std::move(replaced) : std::string(token);  // too short to fail
    }
    case Step::Kind::kMetaspace:
      return absl::StrReplaceAll(token, {{step.content, " "}});
    default:
      break;
  }
  PONDER_CHECK(false, "no step for one token alone");
  return "";
}

std::string TokenDecoder::Run(size_t first, std::vector<std::string> tokens) const {
  for (size_t at = first; at < steps_.size(); ++at) {
    const Step& step = steps_[at];
    switch (step.kind) {
      case Step::Kind::kByteLevel: {
        std::string bytes;
        for (const std::string& token : tokens) bytes += ByteLevelBytes(token);
        tokens = {ReplaceInvalidUtf8(bytes)};
        break;
      }
      case Step::Kind::kByteFallback:
        tokens = JoinBytes(tokens);
        break;
      case Step::Kind::kFuse:
        tokens = {absl::StrJoin(tokens, "")};
        break;
      case Step::Kind::kStrip:
      case Step::Kind::kReplace:
        for (std::string& token : tokens) token = Alone(step, token);
        break;
      case Step::Kind::kMetaspace:
        for (size_t i = 0; i < tokens.size(); ++i) {
          tokens[i] = i == 0 && step.strip_first
                          ? absl::StrReplaceAll(tokens[i], {{step.content, ""}})
                          : Alone(step, tokens[i]);
        }
        break;
    }
  }
  return absl::StrJoin(tokens, "");
}

}  // namespace ponder::data

#include "verifier/math/extract.h"

#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace ponder::verifier {
namespace {

constexpr absl::string_view kOpenThought = "<think>";
constexpr absl::string_view kCloseThought = "</think>";

// The content of the group that opens at text[open] == '{', or npos as its size if it is never
// closed.
size_t MatchBrace(absl::string_view text, size_t open) {
  int depth = 0;
  for (size_t i = open; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && --depth == 0) {
      return i;
    }
  }
  return absl::string_view::npos;
}

// The last \boxed{...} or \fbox{...}. A box inside another one is part of it.
Extraction LastBox(absl::string_view text) {
  Extraction found;
  size_t at = 0;
  while (at < text.size()) {
    const size_t backslash = text.find('\\', at);
    if (backslash == absl::string_view::npos) break;
    size_t open = backslash + 1;
    at = open;
    if (absl::StartsWith(text.substr(open), "boxed")) {
      open += 5;
    } else if (absl::StartsWith(text.substr(open), "fbox")) {
      open += 4;
    } else {
      continue;
    }
    while (open < text.size() && text[open] == ' ') ++open;
    if (open == text.size() || text[open] != '{') continue;
    const size_t close = MatchBrace(text, open);
    if (close == absl::string_view::npos) return {AnswerSource::kUnclosedBox, {}};
    found = {AnswerSource::kBoxed,
             absl::StripAsciiWhitespace(text.substr(open + 1, close - open - 1))};
    at = close + 1;
  }
  return found;
}

absl::string_view FirstLine(absl::string_view text) {
  return absl::StripAsciiWhitespace(text.substr(0, text.find('\n')));
}

absl::string_view LastLine(absl::string_view text) {
  text = absl::StripTrailingAsciiWhitespace(text);
  const size_t newline = text.rfind('\n');
  return absl::StripAsciiWhitespace(newline == absl::string_view::npos ? text
                                                                       : text.substr(newline + 1));
}

// If `text` starts with "answer is", "answer:" or the like, what follows on that line.
absl::string_view AfterAnswerWord(absl::string_view text) {
  text = absl::StripLeadingAsciiWhitespace(text.substr(6));
  if (absl::StartsWithIgnoreCase(text, "is")) {
    text.remove_prefix(2);
  } else if (!absl::StartsWith(text, ":")) {
    return {};
  }
  if (absl::StartsWith(text, ":")) text.remove_prefix(1);
  return FirstLine(absl::StripLeadingAsciiWhitespace(text));
}

// What follows the last 'answer is', 'answer:' or, at the start of a line, 'A:', up to the end of
// its line.
absl::string_view AfterPhrase(absl::string_view text) {
  for (size_t at = text.size(); at-- > 0;) {
    if (absl::ascii_tolower(text[at]) != 'a') continue;
    const absl::string_view rest = text.substr(at);
    absl::string_view found;
    if (absl::StartsWith(rest, "A:") && (at == 0 || text[at - 1] == '\n')) {
      found = FirstLine(rest.substr(2));
    } else if (absl::StartsWithIgnoreCase(rest, "answer")) {
      found = AfterAnswerWord(rest);
    }
    if (!found.empty()) return found;
  }
  return {};
}

// The last line, or what it says after its last '='.
absl::string_view LastLineValue(absl::string_view text) {
  const absl::string_view line = LastLine(text);
  const size_t equals = line.rfind('=');
  return equals == absl::string_view::npos ? line
                                           : absl::StripAsciiWhitespace(line.substr(equals + 1));
}

}  // namespace

Extraction ExtractAnswer(absl::string_view response) {
  absl::string_view text = response;
  const size_t close = text.rfind(kCloseThought);
  if (close != absl::string_view::npos) text.remove_prefix(close + kCloseThought.size());
  if (absl::StrContains(text, kOpenThought)) return {AnswerSource::kUnclosedThought, {}};

  const Extraction box = LastBox(text);
  if (box.source != AnswerSource::kNone) return box;
  const size_t hashes = text.rfind("####");
  if (hashes != absl::string_view::npos) {
    return {AnswerSource::kHashes, FirstLine(text.substr(hashes + 4))};
  }
  const absl::string_view phrase = AfterPhrase(text);
  if (!phrase.empty()) return {AnswerSource::kPhrase, phrase};
  const absl::string_view last = LastLineValue(text);
  if (!last.empty()) return {AnswerSource::kLastLine, last};
  return {};
}

}  // namespace ponder::verifier

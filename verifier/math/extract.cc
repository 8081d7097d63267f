#include "verifier/math/extract.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "verifier/math/latex_commands.h"
#include "verifier/math/parser.h"
#include "verifier/math/prose.h"

namespace ponder::verifier::math {
namespace {

constexpr size_t npos = absl::string_view::npos;
constexpr size_t kMaxBoxes = 64;         // different ones
constexpr size_t kMaxWholeBytes = 4096;  // of a text that may be an answer as a whole
constexpr size_t kMaxSentenceBytes = 4096;

// The position of the brace that closes text[open] == '{', or npos.
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
  return npos;
}

// Whether a box only keeps a place: spaces, blanks, \phantom{2}, a question mark.
bool IsPlaceholder(absl::string_view content) {
  while (!content.empty()) {
    if (content[0] == '\\') {
      size_t end = 1;
      while (end < content.size() && absl::ascii_isalpha(content[end])) ++end;
      const absl::string_view name = content.substr(1, end - 1);
      if (IsDroppedWithArgument(name) && end < content.size() && content[end] == '{') {
        const size_t close = MatchBrace(content, end);
        if (close == npos) return false;
        end = close + 1;
      } else if (name == "quad" || name == "qquad") {
        // a space
      } else if (name.empty() && content.size() > 1 &&
                 absl::StrContains(" ,;:!_", content.substr(1, 1))) {
        end = 2;
      } else {
        return false;
      }
      content.remove_prefix(end);
    } else if (absl::StrContains(" \t\n~_?", content.substr(0, 1))) {
      content.remove_prefix(1);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

Extraction FindBoxes(absl::string_view text) {
  Extraction found;
  absl::flat_hash_set<absl::string_view> seen;
  size_t at = 0;
  while (at < text.size()) {
    const size_t backslash = text.find('\\', at);
    if (backslash == npos) break;
    size_t open = at = backslash + 1;
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
    if (close == npos) return {AnswerSource::kUnclosedBox, {}, ""};
    at = close + 1;
    found.source = AnswerSource::kBoxed;
    const absl::string_view content =
        absl::StripAsciiWhitespace(text.substr(open + 1, close - open - 1));
    if (IsPlaceholder(content) || !seen.insert(content).second || seen.size() > kMaxBoxes) continue;
    found.answers.emplace_back(content);
  }
  return found;
}

namespace {

absl::string_view FirstLine(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  return absl::StripAsciiWhitespace(text.substr(0, text.find('\n')));
}

// After "answer", in any case.
constexpr absl::string_view kVerbs[] = {
    "is", "are", "was", "will be", "would be", "should be", "must be", "equals", ":", "：", "="};
// In other languages.
constexpr absl::string_view kAnnouncements[] = {
    "答案是",     "答案为",     "答案：",      "答案:",     "答えは",       "réponse est",
    "réponse :",  "réponse:",   "Antwort ist", "Antwort:",  "respuesta es", "respuesta:",
    "risposta è", "risposta:",  "resposta é",  "resposta:", "ответ:",       "Ответ:",
    "ответ —",    "الإجابة هي", "답은"};

}  // namespace

bool EatAnnouncement(absl::string_view* text) {
  absl::string_view rest = *text;
  bool announced = false;
  if (absl::StartsWithIgnoreCase(rest, "answer")) {
    rest = absl::StripLeadingAsciiWhitespace(rest.substr(6));
    absl::ConsumePrefix(&rest, "**");
    for (const absl::string_view verb : kVerbs) {
      if (!absl::StartsWithIgnoreCase(rest, verb)) continue;
      const absl::string_view after = rest.substr(verb.size());
      if (absl::ascii_isalpha(verb[0]) && !after.empty() && absl::ascii_isalpha(after[0])) continue;
      rest = after;
      announced = true;
      break;
    }
  } else {
    for (const absl::string_view phrase : kAnnouncements) {
      announced = announced || absl::ConsumePrefix(&rest, phrase);
    }
  }
  if (!announced) return false;
  rest = absl::StripLeadingAsciiWhitespace(rest);
  absl::ConsumePrefix(&rest, ":");
  absl::ConsumePrefix(&rest, "**");
  *text = rest;
  return true;
}

namespace {

// What follows the last announcement, or, at the start of a line, 'A:'.
absl::string_view AfterAnnouncement(absl::string_view text) {
  static const std::array<bool, 256> starts = [] {
    std::array<bool, 256> made{};
    made['a'] = made['A'] = true;
    for (const absl::string_view phrase : kAnnouncements)
      made[static_cast<unsigned char>(phrase[0])] = true;
    return made;
  }();
  for (size_t at = text.size(); at-- > 0;) {
    if (!starts[static_cast<unsigned char>(text[at])]) continue;
    absl::string_view rest = text.substr(at);
    if (absl::StartsWith(rest, "A:") && (at == 0 || text[at - 1] == '\n')) return rest.substr(2);
    if (!EatAnnouncement(&rest) || absl::StripAsciiWhitespace(rest).empty()) continue;
    // "The answer is 3? No" announces nothing.
    constexpr size_t kMaxQuestion = 200;  // so that extraction stays linear
    const absl::string_view tail = absl::StripLeadingAsciiWhitespace(rest).substr(0, kMaxQuestion);
    if (!absl::StartsWith(tail.substr(FirstSentence(tail).size()), "?")) return rest;
  }
  return {};
}

// The answer in an announcement's line: all of it, or the last mathematics of its first sentence.
Extraction InAnnouncement(absl::string_view tail) {
  const absl::string_view line = FirstLine(tail);
  Extraction found;
  found.source = AnswerSource::kPhrase;
  found.sentence = std::string(FirstSentence(line).substr(0, kMaxSentenceBytes));
  absl::string_view bare = absl::StripAsciiWhitespace(found.sentence);
  while (absl::ConsumeSuffix(&bare, "!") || absl::ConsumeSuffix(&bare, ".")) {
  }
  Arena arena;
  if (!IsProse(bare) && ParseMath(bare, &arena).tree != nullptr) {
    found.answers.emplace_back(bare);
    return found;
  }
  // A display that goes on over several lines.
  const absl::string_view all = absl::StripAsciiWhitespace(tail);
  if (all.size() <= kMaxWholeBytes && all.size() > line.size() && !IsProse(all) &&
      ParseMath(all, &arena).tree != nullptr) {
    found.answers.emplace_back(all);
    return found;
  }
  // "is 5, because ...": what comes first; "is that there are 5": what comes last.
  std::string mathematics = LeadingMathematics(bare);
  if (mathematics.empty()) mathematics = LastMathematics(bare);
  found.answers.push_back(mathematics.empty() ? std::string(bare) : std::move(mathematics));
  return found;
}

Extraction InLastLine(absl::string_view text) {
  Extraction found;
  absl::string_view line;
  // A line of nothing but delimiters closes a display: what it displays is before.
  do {
    text = absl::StripAsciiWhitespace(text);
    const size_t newline = text.rfind('\n');
    line = newline == npos ? text : text.substr(newline + 1);
    text = newline == npos ? absl::string_view() : text.substr(0, newline);
  } while (!text.empty() && line.find_first_not_of("$\\[]() ") == npos);
  if (line.size() > kMaxSentenceBytes) line.remove_prefix(line.size() - kMaxSentenceBytes);
  const absl::string_view last_line = line;
  while (!line.empty()) {
    const absl::string_view sentence = EatLastSentence(&line);
    std::string mathematics = LastMathematics(sentence);
    if (mathematics.empty()) continue;
    found.source = AnswerSource::kLastLine;
    found.answers.push_back(std::move(mathematics));
    found.sentence = std::string(sentence);
    return found;
  }
  if (!last_line.empty()) {
    found.source = AnswerSource::kLastLine;
    found.answers.emplace_back(last_line);
    found.sentence = std::string(last_line);
  }
  return found;
}

}  // namespace

bool AfterThought(absl::string_view response, absl::string_view* text) {
  *text = response;
  for (const absl::string_view end : {"</think>", "###Response", "### Response"}) {
    const size_t at = text->rfind(end);
    if (at != npos) text->remove_prefix(at + end.size());
  }
  return !absl::StrContains(*text, "<think>");
}

Extraction ExtractAnswer(absl::string_view response) {
  absl::string_view text;
  if (!AfterThought(response, &text)) return {AnswerSource::kUnclosedThought, {}, ""};
  // Control tokens, and a turn of somebody else, are no part of the answer.
  for (const absl::string_view end : {"<|", "</s>"}) text = text.substr(0, text.find(end));

  Extraction boxes = FindBoxes(text);
  if (boxes.source != AnswerSource::kNone) return boxes;
  const size_t hashes = text.rfind("####");
  if (hashes != npos)
    return {AnswerSource::kHashes, {std::string(FirstLine(text.substr(hashes + 4)))}, ""};
  const size_t open = text.rfind("<answer>");
  if (open != npos) {
    absl::string_view inside = text.substr(open + 8);
    inside = absl::StripAsciiWhitespace(inside.substr(0, inside.find("</answer>")));
    return {AnswerSource::kTagged, {std::string(inside)}, ""};
  }
  const absl::string_view whole = absl::StripAsciiWhitespace(text);
  if (whole.empty()) return {};
  Arena arena;
  // "A: 17" announces 17; it is no ratio.
  if (whole.size() <= kMaxWholeBytes && !absl::StartsWith(whole, "A: ") && !IsProse(whole) &&
      ParseMath(whole, &arena).tree != nullptr) {
    return {AnswerSource::kWhole, {std::string(whole)}, ""};
  }
  const absl::string_view announced = AfterAnnouncement(text);
  if (!announced.empty()) return InAnnouncement(announced);
  return InLastLine(text);
}

}  // namespace ponder::verifier::math

#include "verifier/final_answer.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "verifier/math/extract.h"

namespace ponder::verifier {
namespace {

constexpr size_t npos = absl::string_view::npos;
constexpr size_t kMaxAnswers = 64;

void Add(absl::string_view text, FinalAnswers* found) {
  std::string plain = WithoutMarkup(text);
  if (plain.empty() || found->texts.size() == kMaxAnswers) return;
  if (std::find(found->texts.begin(), found->texts.end(), plain) == found->texts.end()) {
    found->texts.push_back(std::move(plain));
  }
}

// What is between `open` and `close`, each time. False: the last one is never closed.
bool AddBetween(absl::string_view text, absl::string_view open, absl::string_view close,
                bool skip_line, FinalAnswers* found) {
  for (size_t at = text.find(open); at != npos; at = text.find(open)) {
    text.remove_prefix(at + open.size());
    if (skip_line) text.remove_prefix(std::min(text.find('\n'), text.size()));
    const size_t end = text.find(close);
    if (end == npos) return false;
    Add(text.substr(0, end), found);
    text.remove_prefix(end + close.size());
  }
  return true;
}

// What follows each announcement, up to the next one.
void AddAnnounced(absl::string_view text, FinalAnswers* found) {
  const char* from = nullptr;
  while (!text.empty()) {
    const char* const here = text.data();
    const bool word_starts = from == nullptr || !absl::ascii_isalpha(here[-1]);
    if (word_starts && math::EatAnnouncement(&text)) {
      if (from != nullptr) Add(absl::string_view(from, here - from), found);
      from = text.data();
    } else {
      text.remove_prefix(1);
    }
  }
  if (from != nullptr) Add(absl::string_view(from, text.data() - from), found);
}

}  // namespace

std::string WithoutMarkup(absl::string_view text) {
  std::string plain;
  int groups = 0;  // open braces of \text{ and the like
  for (text = absl::StripAsciiWhitespace(text); !text.empty();) {
    bool eaten = false;
    for (const absl::string_view mark : {"$", "\\(", "\\)", "\\[", "\\]"}) {
      eaten = eaten || absl::ConsumePrefix(&text, mark);
    }
    for (const absl::string_view group :
         {"\\text{", "\\textbf{", "\\mathrm{", "\\mathbf{", "\\ce{"}) {
      if (eaten || !absl::ConsumePrefix(&text, group)) continue;
      eaten = true;
      ++groups;
    }
    if (eaten) continue;
    if (groups > 0 && text[0] == '}') {
      --groups;
    } else {
      plain.push_back(text[0]);
    }
    text.remove_prefix(1);
  }
  absl::string_view bare = absl::StripAsciiWhitespace(plain);
  while (bare.size() > 4 && absl::StartsWith(bare, "**") && absl::EndsWith(bare, "**")) {
    bare = absl::StripAsciiWhitespace(bare.substr(2, bare.size() - 4));
  }
  return std::string(bare);
}

FinalAnswers FindFinalAnswers(absl::string_view response) {
  FinalAnswers found;
  absl::string_view text;
  if (!math::AfterThought(response, &text)) {
    found.missing = "unclosed_thought";
    return found;
  }
  // Control tokens, and a turn of somebody else, are no part of the answer.
  for (const absl::string_view end : {"<|", "</s>"}) text = text.substr(0, text.find(end));
  const math::Extraction boxes = math::FindBoxes(text);
  if (absl::StrContains(text, "<answer>")) {
    if (!AddBetween(text, "<answer>", "</answer>", false, &found)) {
      found.texts.clear();
      found.missing = "unclosed_answer";
      return found;
    }
  } else if (boxes.source == math::AnswerSource::kUnclosedBox) {
    found.missing = "unclosed_answer";
    return found;
  } else if (boxes.source == math::AnswerSource::kBoxed) {
    for (const std::string& box : boxes.answers) Add(box, &found);
  } else if (absl::StrContains(text, "```")) {
    if (!AddBetween(text, "```", "```", true, &found)) {
      found.texts.clear();
      found.missing = "unclosed_answer";
      return found;
    }
  } else {
    AddAnnounced(text, &found);
    if (found.texts.empty()) Add(text, &found);
  }
  if (found.texts.empty()) found.missing = "no_answer";
  return found;
}

}  // namespace ponder::verifier

#include "verifier/code/submission.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace ponder::verifier {
namespace {

bool NamesLanguage(absl::string_view info, Language language) {
  const std::string name = absl::AsciiStrToLower(info.substr(0, info.find_first_of(" \t{,:")));
  if (name.empty()) return true;
  if (language == Language::kPython) return name == "python" || name == "python3" || name == "py";
  return name == "cpp" || name == "c++" || name == "cc" || name == "cxx" || name == "c";
}

// Takes the first line off `text`, without its end.
absl::string_view TakeLine(absl::string_view* text) {
  const size_t end = text->find('\n');
  const absl::string_view line = text->substr(0, end);
  *text = end == absl::string_view::npos ? absl::string_view() : text->substr(end + 1);
  return absl::EndsWith(line, "\r") ? line.substr(0, line.size() - 1) : line;
}

}  // namespace

Submission FindSubmission(absl::string_view response, const CodeTask& task) {
  constexpr absl::string_view kOpen = "<think>", kClose = "</think>";
  const size_t close = response.rfind(kClose);
  absl::string_view text =
      close == absl::string_view::npos ? response : response.substr(close + kClose.size());
  if (absl::StrContains(text, kOpen)) return {Submission::Found::kUnclosedThought, {}};

  Submission submission;
  bool fenced = false, named = false;
  for (absl::string_view rest = text; !rest.empty();) {
    absl::string_view line = absl::StripLeadingAsciiWhitespace(TakeLine(&rest));
    const size_t ticks = std::min(line.find_first_not_of('`'), line.size());
    if (ticks < 3) continue;
    const absl::string_view fence = line.substr(0, ticks);
    const absl::string_view info = absl::StripAsciiWhitespace(line.substr(ticks));
    if (absl::StrContains(info, "`")) continue;  // code within a line
    fenced = true;
    const char* begin = rest.data();
    const char* end = begin + rest.size();
    while (!rest.empty()) {
      const char* here = rest.data();
      const absl::string_view inner = absl::StripAsciiWhitespace(TakeLine(&rest));
      if (absl::StartsWith(inner, fence) && inner.find_first_not_of('`') == inner.npos) {
        end = here;
        break;
      }
    }
    if (!NamesLanguage(info, task.language)) continue;
    const absl::string_view block(begin, end - begin);
    const bool names = !task.entry.empty() && absl::StrContains(block, task.entry);
    if (named && !names) continue;
    named = names;
    submission = {Submission::Found::kProgram, block};
  }
  if (!fenced && !absl::StripAsciiWhitespace(text).empty()) {
    submission = {Submission::Found::kProgram, text};
  }
  return submission;
}

}  // namespace ponder::verifier

#include "data/trace_file.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "data/prompt_line.h"
#include "nlohmann/json.hpp"

namespace ponder::data {

absl::StatusOr<std::vector<Trace>> LoadTraces(const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::vector<Trace> traces;
  int64_t line_number = 0;
  for (const absl::string_view line : absl::StrSplit(absl::StripSuffix(text, "\n"), '\n')) {
    ++line_number;
    const std::string place = absl::StrCat(path, ":", line_number);
    absl::StatusOr<Prompt> prompt = ParsePromptLine(line, line_number);
    if (!prompt.ok()) return Annotate(prompt.status(), place);
    Trace trace;
    trace.prompt = *std::move(prompt);
    const auto json = nlohmann::json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
    for (const auto& [key, field] : {std::pair<const char*, std::string*>{"thought", &trace.thought}, {"answer", &trace.answer}}) {
      if (!json.contains(key) || !json[key].is_string()) {
        return absl::InvalidArgumentError(absl::StrCat(place, ": no text under \"", key, "\"; SFT needs both \"thought\" and \"answer\""));
      }
      *field = json[key].get<std::string>();
    }
    traces.push_back(std::move(trace));
  }
  return traces;
}

}  // namespace ponder::data

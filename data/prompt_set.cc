#include "data/prompt_set.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "data/prompt_line.h"
#include "nlohmann/json.hpp"

namespace ponder::data {

absl::StatusOr<PromptSet> ParsePrompts(absl::string_view jsonl, const std::string& name,
                                       const PromptSetOptions& options) {
  if (jsonl.empty())
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": the file is empty; a prompt file has a JSON object a line"));
  if (jsonl.back() == '\n') jsonl.remove_suffix(1);
  PromptSet set;
  std::map<std::string, int64_t> line_of_id;
  int64_t line_number = 0;
  for (const absl::string_view line : absl::StrSplit(jsonl, '\n')) {
    const std::string place = absl::StrCat(name, ":", ++line_number);
    absl::StatusOr<Prompt> prompt = ParsePromptLine(line, line_number);
    if (!prompt.ok()) return Annotate(prompt.status(), place);
    const auto [first, is_first] = line_of_id.emplace(prompt->id, line_number);
    if (!is_first) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, ": the id '", absl::Utf8SafeCHexEscape(prompt->id),
                       "' is that of line ", first->second, "; ids must be unique"));
    }
    const auto tokens = options.text->EncodeChat(prompt->messages, options.system_prompt);
    if (!tokens.ok()) return Annotate(tokens.status(), place);
    const auto length = static_cast<int64_t>(tokens->size());
    if (length > options.max_prompt_tokens) {
      set.dropped.push_back({prompt->id, length});
    } else {
      set.prompts.push_back(*std::move(prompt));
    }
  }
  if (set.prompts.empty()) {
    const auto shortest =
        std::min_element(set.dropped.begin(), set.dropped.end(),
                         [](const auto& a, const auto& b) { return a.tokens < b.tokens; });
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": every prompt is too long: the shortest has ", shortest->tokens,
                     " tokens, data.max_prompt_tokens is ", options.max_prompt_tokens));
  }
  return set;
}

absl::StatusOr<PromptSet> LoadPrompts(const std::string& path, const PromptSetOptions& options) {
  PONDER_ASSIGN_OR_RETURN(const std::string jsonl, ReadFile(path));
  return ParsePrompts(jsonl, path, options);
}

absl::Status WritePrompts(const std::string& path, absl::Span<const Prompt> prompts) {
  std::string jsonl;
  for (const Prompt& prompt : prompts) absl::StrAppend(&jsonl, PromptToJson(prompt).dump(), "\n");
  return WriteFileAtomic(path, jsonl);
}

}  // namespace ponder::data

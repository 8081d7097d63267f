// Any text is a prompt file or a one-line error; a prompt that was read prints as one that reads
// the same.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "data/prompt_line.h"
#include "data/prompt_set.h"
#include "nlohmann/json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  const auto set = ponder::data::ParsePrompts(text, "fuzz", {});
  if (!set.ok()) {
    PONDER_CHECK(absl::IsInvalidArgument(set.status()), set.status().ToString());
    PONDER_CHECK(set.status().message().find('\n') == absl::string_view::npos,
                 set.status().message());
    return 0;
  }
  for (const ponder::Prompt& prompt : set->prompts) {
    PONDER_CHECK(!prompt.id.empty() && !prompt.messages.empty() && !prompt.gold.empty());
    const auto printed = ponder::data::PromptToJson(prompt);
    const auto again = ponder::data::ParsePromptLine(printed.dump(), 1);
    PONDER_CHECK(again.ok(), again.status().message(), "\n", printed.dump());
    PONDER_CHECK(ponder::data::PromptToJson(*again) == printed, printed.dump());
  }
  return 0;
}

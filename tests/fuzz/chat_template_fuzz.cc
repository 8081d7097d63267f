// Any text is a template or a one-line error, and any template ends.
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "data/chat_template.h"
#include "nlohmann/json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const auto* variables = new nlohmann::ordered_json(nlohmann::ordered_json::parse(R"({
      "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
      "add_generation_prompt": true, "bos_token": "<s>", "n": 3, "d": {"a": [1, 2.5, null]}})"));
  const absl::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto made = ponder::data::ChatTemplate::Parse(text, "fuzz");
  if (!made.ok()) {
    PONDER_CHECK(made.status().message().find('\n') == absl::string_view::npos,
                 made.status().message());
    return 0;
  }
  const auto rendered = made->Render(*variables, absl::UnixEpoch());
  PONDER_CHECK(rendered.error.empty() || rendered.text.empty());
  return 0;
}

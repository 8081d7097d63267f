// Any text is a config or a one-line error; a config that was read prints as one that reads the
// same.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "proto/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  // The first line is also tried as what follows --set.
  for (const bool as_override : {false, true}) {
    const auto config = as_override
                            ? ponder::ParseConfig("", "fuzz", {text.substr(0, text.find('\n'))})
                            : ponder::ParseConfig(text, "fuzz", {});
    if (config.ok()) {
      const std::string printed = ponder::PrintConfig(*config);
      const auto again = ponder::ParseConfig(printed, "printed", {});
      PONDER_CHECK(again.ok(), again.status().message(), "\n", printed);
      PONDER_CHECK(ponder::PrintConfig(*again) == printed, printed, "\n",
                   ponder::PrintConfig(*again));
    } else {
      PONDER_CHECK(absl::IsInvalidArgument(config.status()), config.status().ToString());
      PONDER_CHECK(config.status().message().find('\n') == absl::string_view::npos,
                   config.status().message());
    }
  }
  return 0;
}

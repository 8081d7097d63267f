// Any text is a tokenizer or a one-line error; a tokenizer that was read encodes and decodes
// anything, and streams what it decodes.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "data/tokenizers/json_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  const auto made = ponder::data::MakeJsonTokenizer(text, "fuzz");
  if (!made.ok()) {
    PONDER_CHECK(absl::IsInvalidArgument(made.status()), made.status().ToString());
    PONDER_CHECK(made.status().message().find('\n') == absl::string_view::npos,
                 made.status().message());
    return 0;
  }
  const ponder::data::Tokenizer& tokenizer = **made;
  const auto ids = tokenizer.Encode(absl::string_view(text).substr(0, 1000), /*add_special=*/true);
  if (!ids.ok()) return 0;
  for (const int32_t id : *ids) PONDER_CHECK(id >= 0 && id < tokenizer.vocab_size());
  const auto stream = tokenizer.MakeDetokenizer(/*skip_special=*/false);
  for (const int32_t id : *ids) stream->Push(id);
  stream->Finish();
  tokenizer.Decode(*ids, /*skip_special=*/true);
  return 0;
}

// What every fuzzed tokenizer must do.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "data/tokenizers/tokenizer.h"

namespace ponder::data {

// `made` of a file is a tokenizer that encodes and decodes anything and streams what it decodes, or a
// one-line error.
inline void CheckTokenizer(const absl::StatusOr<std::shared_ptr<const Tokenizer>>& made,
                           absl::string_view text) {
  if (!made.ok()) {
    PONDER_CHECK(absl::IsInvalidArgument(made.status()) || absl::IsUnimplemented(made.status()),
                 made.status().ToString());
    PONDER_CHECK(made.status().message().find('\n') == absl::string_view::npos,
                 made.status().message());
    return;
  }
  const Tokenizer& tokenizer = **made;
  const auto ids = tokenizer.Encode(text.substr(0, 1000), /*add_special=*/true);
  if (!ids.ok()) return;
  for (const int32_t id : *ids) PONDER_CHECK(id >= 0 && id < tokenizer.vocab_size());
  const auto stream = tokenizer.MakeDetokenizer(/*skip_special=*/false);
  for (const int32_t id : *ids) stream->Push(id);
  stream->Finish();
  tokenizer.Decode(*ids, /*skip_special=*/true);
}

}  // namespace ponder::data

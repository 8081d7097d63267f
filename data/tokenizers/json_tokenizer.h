// The tokenizer of a tokenizer.json, as the Rust library `tokenizers` defines the file:
// added tokens -> normaliser -> pre-tokeniser -> BPE -> post-processor; and back by the decoder.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "data/tokenizers/tokenizer.h"

namespace ponder::data {

// `text` of the file at `path`. Truncation and padding are not applied. InvalidArgument:
// "path: key what is wrong".
absl::StatusOr<std::shared_ptr<const Tokenizer>> MakeJsonTokenizer(const std::string& text,
                                                                   const std::string& path);

}  // namespace ponder::data

// A model's own tokenizer in GGUF's terms: what llama.cpp calls "gpt2" (byte-level BPE) and "llama"
// (SentencePiece's BPE).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "moe/gguf.h"
#include "moe/model_config.h"

namespace ponder::deploy {

// Of the tokenizer.json or tokenizer.model in `folder`, padded with unused tokens to
// config.vocab_size. Unimplemented: llama.cpp would cut text in another way; the message names the
// key.
absl::StatusOr<moe::GgufVocabulary> GgufVocabularyOf(const std::string& folder,
                                                     const moe::ModelConfig& config);

}  // namespace ponder::deploy

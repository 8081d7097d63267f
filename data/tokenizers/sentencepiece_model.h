// The tokenizer of a SentencePiece tokenizer.model: BPE models, as Llama 2 and Mixtral have them.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "data/tokenizers/tokenizer.h"

namespace ponder::data {

// `bytes` of the file at `path`. It begins a text with BOS if the model has one, as transformers'
// LlamaTokenizer does. InvalidArgument: a broken file; Unimplemented: a unigram model, or one that
// normalises text. The message names the file and what is at fault.
absl::StatusOr<std::shared_ptr<const Tokenizer>> MakeSentencePieceTokenizer(
    const std::string& bytes, const std::string& path);

// The same model as transformers would write it as tokenizer.json.
absl::StatusOr<std::string> SentencePieceAsJson(const std::string& bytes, const std::string& path);

}  // namespace ponder::data

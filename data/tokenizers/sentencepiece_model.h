// The tokenizer of a SentencePiece tokenizer.model: BPE models, as Llama 2 and Mixtral have them,
// and unigram, word and character models.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "data/tokenizers/tokenizer.h"

namespace ponder::data {

// `bytes` of the file at `path`. It begins a text with BOS if the model has one, as transformers'
// LlamaTokenizer does. InvalidArgument: a broken file; Unimplemented: a model that changes the text
// it decodes. The message names the file and what is at fault.
absl::StatusOr<std::shared_ptr<const Tokenizer>> MakeSentencePieceTokenizer(
    const std::string& bytes, const std::string& path);

// The same model as transformers would write it as tokenizer.json. Unimplemented: another model
// than a BPE model that leaves text as it is; the message says what of it.
absl::StatusOr<std::string> SentencePieceAsJson(const std::string& bytes, const std::string& path);

}  // namespace ponder::data

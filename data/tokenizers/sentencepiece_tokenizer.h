// The tokenizer of a SentencePiece model that no tokenizer.json can say: unigram, word and
// character models, and those that normalise text. Ids are those of SentencePiece's own library,
// which can't be linked: it exports a protobuf of its own, under the names of ours.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "data/tokenizers/tokenizer.h"

namespace ponder::sentencepiece {
class SentencePieceModel;
}

namespace ponder::data {

// Control and unknown pieces are special: found in text by their names, they begin what follows
// anew, dummy prefix included. It begins a text with BOS if the model has one. InvalidArgument says
// what of the model is damaged.
absl::StatusOr<std::shared_ptr<const Tokenizer>> MakeSegmentingTokenizer(
    const sentencepiece::SentencePieceModel& model);

}  // namespace ponder::data

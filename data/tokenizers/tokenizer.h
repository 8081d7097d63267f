// Tokenizer: text to token ids and back, as a model's folder defines it.
//
// Two kinds: that of a tokenizer.json (byte-level BPE; SentencePiece-style BPE) or, where there is
// none, of a tokenizer.model (SentencePiece's own), and our own, whose tokens are bytes
// (data/tokenizer.h), for a folder without one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ponder::data {

// A seam: text from tokens that come one by one. What it returns, put together, is what
// Tokenizer::Decode makes of all of them at once, and no piece ends inside a character.
class Detokenizer {
 public:
  virtual ~Detokenizer() = default;
  // The text that `id` completes; may be empty.
  virtual std::string Push(int32_t id) = 0;
  // What is left; the next Push begins a new text.
  virtual std::string Finish() = 0;
};

// A seam. Immutable once loaded; safe from many threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // The names of special tokens in `text` become those tokens. `add_special`: with what the model
  // puts around a text (BOS, ...); a chat template writes that itself. What is not UTF-8 counts as
  // U+FFFD. ResourceExhausted: the split pattern backtracks too much on this text.
  virtual absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view text,
                                                      bool add_special) const = 0;
  // Valid UTF-8. Ids that are none are left out, special tokens only if `skip_special`.
  virtual std::string Decode(absl::Span<const int32_t> ids, bool skip_special) const = 0;
  // The bytes that a token adds in the middle of a text, special or not; none if there is no such
  // token. They need not be whole characters.
  virtual std::string TokenBytes(int32_t id) const = 0;
  // Whether Decode leaves it out with `skip_special`.
  virtual bool IsSpecial(int32_t id) const = 0;
  // The tokenizer outlives it.
  virtual std::unique_ptr<Detokenizer> MakeDetokenizer(bool skip_special) const = 0;

  // The id of a token by its name, as the vocabulary or the added tokens spell it; -1: none.
  virtual int32_t TokenId(absl::string_view token) const = 0;
  // One past the largest id.
  virtual int64_t vocab_size() const = 0;
};

// Of a model's folder. InvalidArgument: a broken file; the message names file and key.
// Unimplemented: there is no tokenizer.json, and the tokenizer.model is not of a kind that can be
// read.
absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const std::string& folder);

// Our own.
std::shared_ptr<const Tokenizer> MakeByteTokenizer();

}  // namespace ponder::data

// The ways to make text of tokens that come one by one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "data/tokenizers/tokenizer.h"

namespace ponder::data {

// For tokens that are nothing but bytes: `bytes_of` says which.
std::unique_ptr<Detokenizer> MakeByteDetokenizer(std::function<std::string(int32_t)> bytes_of);

// For any other tokenizer, which outlives it. `shows`: the token leaves text at all. `is_byte`: it
// is one byte of a character; runs of such tokens are decoded together.
std::unique_ptr<Detokenizer> MakeWindowDetokenizer(const Tokenizer& tokenizer,
                                                   std::function<bool(int32_t)> shows,
                                                   std::function<bool(int32_t)> is_byte);

}  // namespace ponder::data

// The bytes of any tokenizer.model are a tokenizer or a one-line error.
#include <cstdint>
#include <string>

#include "data/tokenizers/sentencepiece_model.h"
#include "tests/fuzz/check_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  ponder::data::CheckTokenizer(ponder::data::MakeSentencePieceTokenizer(text, "fuzz"), text);
  return 0;
}

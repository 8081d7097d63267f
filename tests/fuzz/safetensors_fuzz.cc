// Any bytes are a safetensors file or a one-line error, and what is read lies inside of them.
#include <cstdint>

#include "base/check.h"
#include "moe/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const absl::string_view file(reinterpret_cast<const char*>(bytes), size);
  const auto parsed = ponder::moe::ParseSafetensorsHeader(file);
  if (!parsed.ok()) {
    PONDER_CHECK(absl::IsDataLoss(parsed.status()), parsed.status().ToString());
    PONDER_CHECK(parsed.status().message().find('\n') == absl::string_view::npos,
                 parsed.status().message());
    return 0;
  }
  uint64_t at = parsed->data_begin;
  for (const ponder::moe::SafetensorsTensor& tensor : parsed->tensors) {
    PONDER_CHECK(parsed->data_begin + tensor.begin == at && tensor.end >= tensor.begin);
    at = parsed->data_begin + tensor.end;
  }
  PONDER_CHECK(at == size);
  return 0;
}

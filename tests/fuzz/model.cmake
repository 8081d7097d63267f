# The header's parser needs no more of the model than itself.
ponder_library(NAME fuzzed_safetensors SOURCES ../../moe/safetensors.cc
  DEPS ponder::base absl::span PRIVATE_DEPS nlohmann_json::nlohmann_json)
ponder_fuzz(NAME safetensors DEPS ponder::fuzzed_safetensors)

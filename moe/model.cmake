# ponder::model: the model without LibTorch.
ponder_library(NAME model
  SOURCES checked_folder.cc checkpoint.cc gguf.cc inference.cc model_config.cc
    model_config_json.cc narrow_weights.cc packed_model.cc safetensors.cc shared_expert.cc weights.cc
  DEPS ponder::base ponder::kernels absl::span nlohmann_json::nlohmann_json)

# ponder::model: the model without LibTorch.
ponder_library(NAME model
  SOURCES checked_folder.cc checkpoint.cc checkpoint_diff.cc checkpoint_files.cc gguf.cc inference.cc latent_attention.cc
    mapped_file.cc model_config.cc model_files.cc model_config_json.cc model_layout.cc
    narrow_weights.cc packed_model.cc rope.cc
    safetensors.cc scoring.cc shared_expert.cc tensor_values.cc weights.cc
    families/config_reader.cc families/deepseek.cc families/deepseek_v2.cc families/deepseek_v3.cc
    families/family.cc families/llama.cc families/mixtral.cc families/olmoe.cc
    families/qwen2_moe.cc families/qwen3.cc families/qwen3_moe.cc tensor_reader.cc routing_record.cc
  DEPS ponder::base ponder::kernels absl::span nlohmann_json::nlohmann_json)

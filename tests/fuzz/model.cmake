ponder_fuzz(NAME safetensors DEPS ponder::model)

ponder_fuzz(NAME tokenizer_json DEPS ponder::tokenizers)
ponder_fuzz(NAME tokenizer_model DEPS ponder::tokenizers)
ponder_fuzz(NAME chat_template DEPS ponder::chat_template)

# Tests of ponder::model.
ponder_test(NAME moe_model
  SOURCES checkpoint_test.cc golden_test.cc hostile_checkpoint_test.cc inference_test.cc model_config_test.cc reference_decoder.cc
    weights_test.cc
  DEPS ponder::engine ponder::model nlohmann_json::nlohmann_json)

# Tests of ponder::model.
foreach(name model_config weights checkpoint hostile_checkpoint)
  ponder_test(NAME moe_${name} SOURCES ${name}_test.cc DEPS ponder::model)
endforeach()
ponder_test(NAME moe_golden SOURCES golden_test.cc DEPS ponder::engine ponder::model nlohmann_json::nlohmann_json)
ponder_test(NAME moe_inference SOURCES inference_test.cc reference_decoder.cc DEPS ponder::model)

# Tests of ponder::model.
foreach(name model_config weights checkpoint)
  ponder_test(NAME moe_${name} SOURCES ${name}_test.cc DEPS ponder::model)
endforeach()

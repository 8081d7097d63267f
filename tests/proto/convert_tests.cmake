ponder_test(NAME proto_convert SOURCES convert_test.cc DEPS ponder::proto)

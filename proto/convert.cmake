list(APPEND proto_sources convert.cc)

list(APPEND proto_sources convert.cc)
# `Message` is one of a chat here, a protobuf message in its neighbours.
set_source_files_properties(convert.cc PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)

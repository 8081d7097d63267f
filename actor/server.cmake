# ponder::server: the OpenAI-compatible server on the engine.
ponder_library(NAME server
  SOURCES server/engine_thread.cc server/http_server.cc server/openai.cc server/openai_call.cc
    server/text_stream.cc server/listener.cc server/scoring_server.cc
  DEPS ponder::data ponder::engine
  PRIVATE_DEPS PkgConfig::HTTPLIB)

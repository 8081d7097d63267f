# ponder::engine: batched generation and what is measured with it.
ponder_library(NAME engine
  SOURCES engine.cc kv_pages.cc
  DEPS ponder::model)

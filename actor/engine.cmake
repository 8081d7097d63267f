# ponder::engine: batched generation and what is measured with it.
ponder_library(NAME engine
  SOURCES engine.cc evaluate.cc kv_pages.cc pass_at_k.cc running_batch.cc
  DEPS ponder::data ponder::model)

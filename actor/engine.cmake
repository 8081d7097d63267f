# ponder::engine: batched generation and what is measured with it.
ponder_library(NAME engine
  SOURCES
    engine/engine.cc engine/kv_pages.cc engine/prefix_cache.cc engine/running_batch.cc
    engine/sequence.cc engine/stop_strings.cc evaluate.cc pass_at_k.cc engine/route_records.cc
  DEPS ponder::data ponder::model)

# ponder::pool: the sample pool, the weights, and what serves them; no LibTorch.
ponder_library(NAME pool
  SOURCES curriculum.cc ledger.cc learner_service.cc pool_state.cc prompt_order.cc sample_pool.cc weight_store.cc
  DEPS ponder::base ponder::reward ponder::proto ponder::model
  PRIVATE_DEPS SQLite::SQLite3)

# ponder::pool: the sample pool and what serves it; no LibTorch.
ponder_library(NAME pool
  SOURCES ledger.cc pool_state.cc prompt_order.cc sample_pool.cc
  DEPS ponder::base ponder::reward
  PRIVATE_DEPS SQLite::SQLite3)

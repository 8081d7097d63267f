# ponder::engine

# ponder::pool

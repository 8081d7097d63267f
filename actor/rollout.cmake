# ponder::actor

# ponder::learner

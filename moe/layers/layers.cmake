# ponder::moe: the trainable decoder.

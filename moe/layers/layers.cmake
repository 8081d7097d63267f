# ponder::moe: the trainable decoder.
ponder_library(NAME moe TORCH
  SOURCES
    decoder.cc
    layers/activation_pool.cc
    layers/attention_block.cc
    layers/autograd.cc
    layers/batch.cc
    layers/embedding.cc
    layers/expert_exchange.cc
    layers/experts.cc
    layers/latent_attention_block.cc
    layers/linear.cc
    layers/lm_head.cc
    layers/mlp.cc
    layers/moe_block.cc
    layers/packed_attention.cc
    layers/parameter_store.cc
    layers/rms_norm.cc
    layers/rotary_tables.cc
    layers/shared_mlp.cc
    layers/value_head.cc
    router_loss.cc
    layers/row_norm.cc
  DEPS ponder::model ponder::kernels ponder::comm absl::flat_hash_map absl::synchronization)

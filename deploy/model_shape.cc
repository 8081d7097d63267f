#include "deploy/model_shape.h"

#include "data/tokenizer.h"

namespace ponder::deploy {

moe::ModelConfig ModelConfigOf(const v1::ModelShape& shape) {
  moe::ModelConfig config;
  config.vocab_size = data::ByteTokenizer::kVocabSize;
  config.eos_token_id = data::ByteTokenizer::kEos;
  config.hidden_size = shape.hidden_size();
  config.num_hidden_layers = shape.num_hidden_layers();
  config.num_attention_heads = shape.num_attention_heads();
  config.num_key_value_heads = shape.num_key_value_heads();
  config.head_dim = shape.head_dim();
  config.intermediate_size = shape.intermediate_size();
  config.first_k_dense_replace = shape.first_k_dense_replace();
  config.num_experts = shape.num_experts();
  config.num_experts_per_tok = shape.num_experts_per_tok();
  config.moe_intermediate_size = shape.moe_intermediate_size();
  config.shared_expert_intermediate_size = shape.shared_expert_intermediate_size();
  config.scoring_func = shape.scoring_func();
  config.norm_topk_prob = shape.norm_topk_prob();
  config.qk_norm = shape.use_qk_norm() ? moe::QkNorm::kPerHead : moe::QkNorm::kNone;
  config.tie_word_embeddings = shape.tie_word_embeddings();
  config.rope_theta = shape.rope_theta();
  config.rms_norm_eps = shape.rms_norm_eps();
  config.max_position_embeddings = shape.max_position_embeddings();
  config.initializer_range = shape.initializer_range();
  return config;
}

}  // namespace ponder::deploy

#include "proto/recipes.h"

namespace ponder {
namespace {

struct Recipe {
  const char* algorithm;
  // Estimator, its whitening, and the loss.
  const char* advantage;
  bool whiten;
  const char* policy_loss;
  const char* aggregation;
  double clip_low, clip_high;
  // Regularisers.
  double kl_coef;
  const char* kl_in;
  const char* kl_estimator;
  double positive_nll;
  // Sampling: drop groups whose answers all agree.
  bool dynamic_sampling;
  // Value model.
  double gae_lambda, length_alpha, value_clip;
  int64_t pretrain_steps;
};

// One line a recipe. Sources and what is special about each: docs/algorithms.md.
// clang-format off
constexpr Recipe kRecipes[] = {
    // algorithm     advantage  whiten  loss         aggregation        low   high  kl    in        est   nll  dynamic  lambda alpha clip pretrain
    {"ppo",          "gae",     true,   "clip",      "token_mean",      0.2,  0.2,  0,    "loss",   "k3", 0,   false,   0.95,  0,    0.2, 0},
    {"grpo",         "grpo",    false,  "clip",      "sequence_mean",   0.2,  0.2,  0.04, "loss",   "k3", 0,   false,   0.95,  0,    0,   0},
    {"dr_grpo",      "dr_grpo", false,  "clip",      "constant_length", 0.2,  0.2,  0,    "loss",   "k3", 0,   false,   0.95,  0,    0,   0},
    {"rloo",         "rloo",    false,  "clip",      "token_mean",      0.2,  0.2,  0.01, "reward", "k1", 0,   false,   0.95,  0,    0,   0},
    {"reinforce_pp", "return",  true,   "clip",      "token_mean",      0.2,  0.2,  0.01, "reward", "k1", 0,   false,   0.95,  0,    0,   0},
    {"dapo",         "grpo",    false,  "clip",      "token_mean",      0.2,  0.28, 0,    "loss",   "k3", 0,   true,    0.95,  0,    0,   0},
    {"gspo",         "grpo",    false,  "gspo",      "sequence_mean",   3e-4, 4e-4, 0,    "loss",   "k3", 0,   true,    0.95,  0,    0,   0},
    {"cispo",        "grpo",    false,  "cispo",     "token_mean",      1,    4,    0,    "loss",   "k3", 0,   true,    0.95,  0,    0,   0},
    {"vc_ppo",       "gae",     true,   "clip",      "token_mean",      0.2,  0.2,  0,    "loss",   "k3", 0,   false,   0.95,  0,    0,   20},
    {"vapo",         "gae",     true,   "clip",      "token_mean",      0.2,  0.28, 0,    "loss",   "k3", 0.1, false,   0.95,  0.05, 0,   20},
};
// clang-format on

}  // namespace

void ApplyRecipe(v1::RlConfig* rl) {
  for (const Recipe& recipe : kRecipes) {
    if (rl->algorithm() != recipe.algorithm) continue;
    if (!rl->has_advantage()) rl->set_advantage(recipe.advantage);
    if (!rl->has_whiten_advantages()) rl->set_whiten_advantages(recipe.whiten);
    if (!rl->has_policy_loss()) rl->set_policy_loss(recipe.policy_loss);
    if (!rl->has_aggregation()) rl->set_aggregation(recipe.aggregation);
    if (!rl->has_clip_low()) rl->set_clip_low(recipe.clip_low);
    if (!rl->has_clip_high()) rl->set_clip_high(recipe.clip_high);
    if (!rl->has_kl_coef()) rl->set_kl_coef(recipe.kl_coef);
    if (!rl->has_kl_in()) rl->set_kl_in(recipe.kl_in);
    if (!rl->has_kl_estimator()) rl->set_kl_estimator(recipe.kl_estimator);
    if (!rl->has_positive_nll_coef()) rl->set_positive_nll_coef(recipe.positive_nll);
    if (!rl->has_dynamic_sampling()) rl->set_dynamic_sampling(recipe.dynamic_sampling);
    if (!rl->has_gae_lambda()) rl->set_gae_lambda(recipe.gae_lambda);
    if (!rl->has_gae_length_alpha()) rl->set_gae_length_alpha(recipe.length_alpha);
    v1::ValueConfig* const value = rl->mutable_value();
    if (!value->has_clip()) value->set_clip(recipe.value_clip);
    // A value model is trained ahead only if there is one.
    if (!value->has_pretrain_steps()) {
      value->set_pretrain_steps(rl->advantage() == "gae" ? recipe.pretrain_steps : 0);
    }
  }
}

void ClearRecipe(v1::RlConfig* rl) {
  rl->clear_advantage();
  rl->clear_whiten_advantages();
  rl->clear_policy_loss();
  rl->clear_aggregation();
  rl->clear_clip_low();
  rl->clear_clip_high();
  rl->clear_kl_coef();
  rl->clear_kl_in();
  rl->clear_kl_estimator();
  rl->clear_positive_nll_coef();
  rl->clear_dynamic_sampling();
  rl->clear_gae_lambda();
  rl->clear_gae_length_alpha();
  rl->mutable_value()->clear_clip();
  rl->mutable_value()->clear_pretrain_steps();
}

}  // namespace ponder

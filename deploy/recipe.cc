#include "deploy/recipe.h"

#include <string>

namespace ponder::deploy {
namespace {

learner::KlEstimator KlEstimatorOf(const std::string& name) {
  return name == "k1"   ? learner::KlEstimator::kK1
         : name == "k2" ? learner::KlEstimator::kK2
                        : learner::KlEstimator::kK3;
}

learner::Aggregation AggregationOf(const std::string& name) {
  return name == "sequence_mean"     ? learner::Aggregation::kSequenceMean
         : name == "constant_length" ? learner::Aggregation::kConstantLength
                                     : learner::Aggregation::kTokenMean;
}

learner::RatioCorrection CorrectionOf(const v1::RlConfig& rl) {
  using Kind = learner::RatioCorrection::Kind;
  const std::string& name = rl.ratio_correction();
  const Kind kind = name == "truncate"            ? Kind::kTruncate
                    : name == "mask"              ? Kind::kMask
                    : name == "sequence_truncate" ? Kind::kSequenceTruncate
                    : name == "sequence_mask"     ? Kind::kSequenceMask
                                                  : Kind::kNone;
  return {kind, rl.ratio_min(), rl.ratio_max()};
}

}  // namespace

learner::AdvantageOptions AdvantageOf(const v1::RlConfig& rl) {
  learner::AdvantageOptions options;
  options.estimator = rl.advantage();
  options.gae_lambda = rl.gae_lambda();
  options.length_alpha = rl.gae_length_alpha();
  options.value_lambda = rl.value().lambda();
  options.whiten = rl.whiten_advantages();
  options.kl_coef = rl.kl_in() == "reward" ? rl.kl_coef() : 0;
  options.kl_estimator = KlEstimatorOf(rl.kl_estimator());
  return options;
}

learner::ObjectiveOptions ObjectiveOf(const v1::RlConfig& rl) {
  learner::ObjectiveOptions options;
  options.policy_loss = rl.policy_loss();
  options.clip_low = rl.clip_low();
  options.clip_high = rl.clip_high();
  options.aggregation = AggregationOf(rl.aggregation());
  options.constant_length = rl.max_response_tokens();
  options.kl_coef = rl.kl_in() == "loss" ? rl.kl_coef() : 0;
  options.kl_estimator = KlEstimatorOf(rl.kl_estimator());
  options.entropy_coef = rl.entropy_coef();
  options.positive_nll_coef = rl.positive_nll_coef();
  options.correction = CorrectionOf(rl);
  return options;
}

learner::RouterBalance RouterBalanceOf(const v1::RouterConfig& router) {
  using Kind = learner::RouterBalance::Kind;
  learner::RouterBalance balance;
  balance.kind = router.balance() == "sequence" ? Kind::kSequence
                 : router.balance() == "batch"  ? Kind::kBatch
                                                : Kind::kNone;
  balance.coef = router.balance_coef();
  balance.z_coef = router.z_coef();
  balance.bias_speed = router.bias_speed();
  return balance;
}

reward::SourceNormaliser::Options NormalisationOf(const v1::RewardConfig& reward) {
  using Kind = reward::SourceNormaliser::Kind;
  const std::string& name = reward.normalise();
  return {name == "scale"         ? Kind::kScale
          : name == "standardise" ? Kind::kStandardise
                                  : Kind::kNone,
          reward.rate(), reward.least_deviation()};
}

}  // namespace ponder::deploy

// From the keys of rl to what the learner takes: the only place that maps one to the other.
#pragma once

#include "learner/advantage.h"
#include "learner/objective.h"
#include "learner/router_balance.h"
#include "proto/config.pb.h"
#include "reward/normalisation.h"

namespace ponder::deploy {

learner::AdvantageOptions AdvantageOf(const v1::RlConfig& rl);
learner::ObjectiveOptions ObjectiveOf(const v1::RlConfig& rl);
learner::RouterBalance RouterBalanceOf(const v1::RouterConfig& router);
reward::SourceNormaliser::Options NormalisationOf(const v1::RewardConfig& reward);

}  // namespace ponder::deploy

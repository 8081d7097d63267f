#include "learner/advantage.h"

#include <cmath>
#include <map>

#include "absl/types/span.h"
#include "base/check.h"
#include "reward/advantage.h"

namespace ponder::learner {
namespace {

// Aligned with the batch's tokens, as are all below: the KL penalty at each response token, and the
// verifier's reward at the last.
std::vector<double> TokenRewards(const AdvantageOptions& options, const PolicyBatch& batch) {
  std::vector<double> rewards(batch.tokens.size(), 0);
  const std::vector<float>& old = batch.old_logprobs();
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    for (int64_t t = batch.response_start(s); options.kl_coef != 0 && t < batch.starts[s + 1];
         ++t) {
      rewards[t] =
          -options.kl_coef * KlEstimate(options.kl_estimator, old[t], batch.reference_logprobs[t]);
    }
    rewards[batch.starts[s + 1] - 1] += batch.rewards[s];
  }
  return rewards;
}

absl::Span<const double> ResponseOf(const PolicyBatch& batch, int64_t s,
                                    const std::vector<double>& values) {
  return absl::MakeConstSpan(values).subspan(batch.response_start(s), batch.response_length(s));
}

void SetResponse(const PolicyBatch& batch, int64_t s, absl::Span<const double> values,
                 std::vector<double>* all) {
  std::copy(values.begin(), values.end(), all->begin() + batch.response_start(s));
}

// One number for all tokens of a response, from the summed rewards of its group.
template <typename Estimate>
void EstimateByGroup(const PolicyBatch& batch, const std::vector<double>& rewards,
                     Estimate estimate, std::vector<double>* advantages) {
  std::map<int64_t, std::vector<int64_t>> groups;
  for (int64_t s = 0; s < batch.sequences(); ++s) groups[batch.groups[s]].push_back(s);
  for (const auto& [group, members] : groups) {
    std::vector<double> sums;
    for (const int64_t s : members) {
      double sum = 0;
      for (const double reward : ResponseOf(batch, s, rewards)) sum += reward;
      sums.push_back(sum);
    }
    const std::vector<double> estimates = estimate(sums);
    for (size_t i = 0; i < members.size(); ++i) {
      const int64_t s = members[i];
      SetResponse(batch, s, std::vector<double>(batch.response_length(s), estimates[i]),
                  advantages);
    }
  }
}

using Estimator = void (*)(const AdvantageOptions&, const PolicyBatch&,
                           const std::vector<double>& rewards, std::vector<double>* advantages);

void Grpo(const AdvantageOptions&, const PolicyBatch& batch, const std::vector<double>& rewards,
          std::vector<double>* advantages) {
  EstimateByGroup(batch, rewards, reward::GroupNormalised, advantages);
}

void DrGrpo(const AdvantageOptions&, const PolicyBatch& batch, const std::vector<double>& rewards,
            std::vector<double>* advantages) {
  EstimateByGroup(batch, rewards, reward::GroupCentred, advantages);
}

void Rloo(const AdvantageOptions&, const PolicyBatch& batch, const std::vector<double>& rewards,
          std::vector<double>* advantages) {
  EstimateByGroup(batch, rewards, reward::LeaveOneOut, advantages);
}

void Return(const AdvantageOptions&, const PolicyBatch& batch, const std::vector<double>& rewards,
            std::vector<double>* advantages) {
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    SetResponse(batch, s, reward::RewardToGo(ResponseOf(batch, s, rewards)), advantages);
  }
}

void GaeEstimator(const AdvantageOptions& options, const PolicyBatch& batch,
                  const std::vector<double>& rewards, std::vector<double>* advantages) {
  const std::vector<double> values(batch.values.begin(), batch.values.end());
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const double lambda =
        options.length_alpha > 0
            ? reward::LengthAdaptiveLambda(batch.response_length(s), options.length_alpha)
            : options.gae_lambda;
    SetResponse(batch, s,
                reward::Gae(ResponseOf(batch, s, rewards), ResponseOf(batch, s, values), lambda),
                advantages);
  }
}

struct Entry {
  const char* name;
  bool needs_values;
  Estimator estimate;
};
constexpr Entry kEstimators[] = {
    {"grpo", false, Grpo},       //
    {"dr_grpo", false, DrGrpo},  //
    {"rloo", false, Rloo},       //
    {"return", false, Return},   // REINFORCE++ (arXiv 2501.03262), with `whiten`
    {"gae", true, GaeEstimator},
};

const Entry* Find(const std::string& name) {
  for (const Entry& entry : kEstimators) {
    if (name == entry.name) return &entry;
  }
  return nullptr;
}

// V + GAE(lambda) is the lambda-return.
void SetReturns(const AdvantageOptions& options, const std::vector<double>& rewards,
                PolicyBatch* batch) {
  const std::vector<double> values(batch->values.begin(), batch->values.end());
  batch->returns.assign(batch->tokens.size(), 0.f);
  for (int64_t s = 0; s < batch->sequences(); ++s) {
    const int64_t first = batch->response_start(s);
    const std::vector<double> ahead = reward::Gae(
        ResponseOf(*batch, s, rewards), ResponseOf(*batch, s, values), options.value_lambda);
    for (size_t t = 0; t < ahead.size(); ++t) {
      batch->returns[first + t] = static_cast<float>(values[first + t] + ahead[t]);
    }
  }
}

// The response tokens' values, one response after another.
std::vector<double> Responses(const PolicyBatch& batch, const std::vector<float>& all) {
  std::vector<double> values;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    values.insert(values.end(), all.begin() + batch.response_start(s),
                  all.begin() + batch.starts[s + 1]);
  }
  return values;
}

}  // namespace

double KlEstimate(KlEstimator estimator, double logprob, double reference) {
  const double x = logprob - reference;
  switch (estimator) {
    case KlEstimator::kK1:
      return x;
    case KlEstimator::kK2:
      return x * x / 2;
    case KlEstimator::kK3:
      break;
  }
  return std::expm1(-x) + x;
}

double KlSlope(KlEstimator estimator, double logprob, double reference) {
  const double x = logprob - reference;
  switch (estimator) {
    case KlEstimator::kK1:
      return 1;
    case KlEstimator::kK2:
      return x;
    case KlEstimator::kK3:
      break;
  }
  return -std::expm1(-x);
}

bool IsAdvantageEstimator(const std::string& name) { return Find(name) != nullptr; }

bool NeedsValues(const std::string& estimator) {
  const Entry* const entry = Find(estimator);
  return entry != nullptr && entry->needs_values;
}

void ComputeAdvantages(const AdvantageOptions& options, PolicyBatch* batch) {
  const Entry* const entry = Find(options.estimator);
  PONDER_CHECK(entry != nullptr, "no advantage estimator ", options.estimator);
  PONDER_CHECK(!entry->needs_values || batch->values.size() == batch->tokens.size(),
               options.estimator, " needs values");
  PONDER_CHECK(options.kl_coef == 0 || batch->reference_logprobs.size() == batch->tokens.size(),
               "a KL penalty needs a reference");
  const std::vector<double> rewards = TokenRewards(options, *batch);
  std::vector<double> advantages(batch->tokens.size(), 0);
  entry->estimate(options, *batch, rewards, &advantages);
  if (options.whiten) {
    std::vector<double> all;
    for (int64_t s = 0; s < batch->sequences(); ++s) {
      const auto response = ResponseOf(*batch, s, advantages);
      all.insert(all.end(), response.begin(), response.end());
    }
    reward::Whiten(absl::MakeSpan(all));
    size_t next = 0;
    for (int64_t s = 0; s < batch->sequences(); ++s) {
      for (int64_t t = batch->response_start(s); t < batch->starts[s + 1]; ++t)
        advantages[t] = all[next++];
    }
  }
  batch->advantages.assign(advantages.begin(), advantages.end());
  if (!batch->values.empty()) SetReturns(options, rewards, batch);
}

double ExplainedVariance(const PolicyBatch& batch) {
  return reward::ExplainedVariance(Responses(batch, batch.values), Responses(batch, batch.returns));
}

}  // namespace ponder::learner

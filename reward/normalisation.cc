#include "reward/normalisation.h"

#include <algorithm>
#include <cmath>

#include "reward/advantage.h"

namespace ponder::reward {

void RunningMoments::Learn(double x, double rate) {
  const double weight = std::max(1.0 / static_cast<double>(++count), rate);
  const double from_old = x - mean;
  mean += weight * from_old;
  variance += weight * (from_old * (x - mean) - variance);
}

double RunningMoments::deviation() const { return std::sqrt(std::max(variance, 0.0)); }

void Normalise(const Affine& affine, std::vector<Score>* scores) {
  std::vector<double> rewards;
  for (Score& score : *scores) {
    score.normalised = affine(score.correctness + score.preference);
    score.reward = score.normalised + score.overlong;
    rewards.push_back(score.reward);
  }
  const std::vector<double> advantages = GroupNormalised(rewards);
  for (size_t i = 0; i < scores->size(); ++i) (*scores)[i].advantage = advantages[i];
}

void SourceNormaliser::Learn(const std::string& source, absl::Span<const Score> scores) {
  RunningMoments& moments = moments_[source];
  for (const Score& score : scores) {
    moments.Learn(score.correctness + score.preference, options_.rate);
  }
}

Affine SourceNormaliser::Of(const std::string& source) const {
  const auto found = moments_.find(source);
  if (options_.kind == Kind::kNone || found == moments_.end()) return {};
  const RunningMoments& moments = found->second;
  return {options_.kind == Kind::kStandardise ? moments.mean : 0,
          std::max(moments.deviation(), options_.least_deviation)};
}

}  // namespace ponder::reward

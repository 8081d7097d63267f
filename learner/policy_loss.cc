#include "learner/policy_loss.h"

#include <algorithm>
#include <cmath>

namespace ponder::learner {
namespace {

// min(r A, clip(r) A) is flat in r where the clip decides.
bool Clips(double ratio, double advantage, const Response& response) {
  return advantage > 0 ? ratio > 1 + response.clip_high
                       : advantage < 0 && ratio < 1 - response.clip_low;
}

double ClippedTerm(double ratio, double advantage, const Response& response) {
  const double clipped = std::clamp(ratio, 1 - response.clip_low, 1 + response.clip_high);
  return std::min(ratio * advantage, clipped * advantage);
}

double Clip(const Response& response, absl::Span<double> gradient, int64_t* clipped) {
  double loss = 0;
  for (size_t t = 0; t < gradient.size(); ++t) {
    const double ratio = std::exp(response.log_ratio[t]);
    const double advantage = response.advantage[t];
    const bool flat = Clips(ratio, advantage, response);
    loss -= response.weight[t] * ClippedTerm(ratio, advantage, response);
    gradient[t] = flat ? 0 : -response.weight[t] * advantage * ratio;
    *clipped += flat;
  }
  return loss;
}

// ds / dlog pi_t = s / l.
double Gspo(const Response& response, absl::Span<double> gradient, int64_t* clipped) {
  const auto length = static_cast<double>(gradient.size());
  double mean = 0;
  for (const double log_ratio : response.log_ratio) mean += log_ratio / length;
  const double ratio = std::exp(mean);
  double loss = 0;
  double slope = 0;
  for (size_t t = 0; t < gradient.size(); ++t) {
    const double advantage = response.advantage[t];
    const bool flat = Clips(ratio, advantage, response);
    loss -= response.weight[t] * ClippedTerm(ratio, advantage, response);
    if (!flat) slope -= response.weight[t] * advantage;
    *clipped += flat;
  }
  std::fill(gradient.begin(), gradient.end(), slope * ratio / length);
  return loss;
}

double Cispo(const Response& response, absl::Span<double> gradient, int64_t* clipped) {
  double loss = 0;
  for (size_t t = 0; t < gradient.size(); ++t) {
    const double ratio = std::exp(response.log_ratio[t]);
    const double kept = std::clamp(ratio, 1 - response.clip_low, 1 + response.clip_high);
    gradient[t] = -response.weight[t] * kept * response.advantage[t];
    loss += gradient[t] * response.logprob[t];
    *clipped += kept != ratio;
  }
  return loss;
}

double Reinforce(const Response& response, absl::Span<double> gradient, int64_t*) {
  double loss = 0;
  for (size_t t = 0; t < gradient.size(); ++t) {
    gradient[t] = -response.weight[t] * response.advantage[t];
    loss += gradient[t] * response.logprob[t];
  }
  return loss;
}

struct NamedLoss {
  const char* name;
  PolicyLossFunction loss;
};
constexpr NamedLoss kPolicyLosses[] = {
    {"clip", Clip},
    {"gspo", Gspo},
    {"cispo", Cispo},
    {"reinforce", Reinforce},
};

}  // namespace

PolicyLossFunction FindPolicyLoss(const std::string& name) {
  for (const NamedLoss& entry : kPolicyLosses) {
    if (name == entry.name) return entry.loss;
  }
  return nullptr;
}

int64_t CorrectionWeights(const RatioCorrection& correction, absl::Span<const double> log_rho,
                          absl::Span<double> weights) {
  using Kind = RatioCorrection::Kind;
  double sum = 0;
  for (const double x : log_rho) sum += x;
  const double product = std::exp(sum);
  const double mean = std::exp(sum / static_cast<double>(std::max<size_t>(log_rho.size(), 1)));
  const auto outside = [&](double x) { return x < correction.min || x > correction.max; };
  int64_t cut = 0;
  for (size_t t = 0; t < weights.size(); ++t) {
    const double rho = std::exp(log_rho[t]);
    switch (correction.kind) {
      case Kind::kNone:
        weights[t] = 1;
        break;
      case Kind::kTruncate:
        weights[t] = std::min(rho, correction.max);
        cut += rho > correction.max;
        break;
      case Kind::kMask:
        weights[t] = outside(rho) ? 0 : rho;
        cut += outside(rho);
        break;
      case Kind::kSequenceTruncate:
        weights[t] = std::min(product, correction.max);
        cut += product > correction.max;
        break;
      case Kind::kSequenceMask:
        weights[t] = outside(mean) ? 0 : 1;
        cut += outside(mean);
        break;
    }
  }
  return cut;
}

}  // namespace ponder::learner

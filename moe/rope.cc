#include "moe/rope.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ponder::moe {
namespace {

constexpr double kPi = 3.14159265358979323846;

double Llama3(const RopeScaling& s, double inv_freq) {
  const double wavelength = 2 * kPi / inv_freq;
  const double turns = s.original_max_position_embeddings / wavelength;
  if (turns < s.low_freq_factor) return inv_freq / s.factor;
  if (turns > s.high_freq_factor) return inv_freq;
  const double smooth = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1 - smooth) * inv_freq / s.factor + smooth * inv_freq;
}

// The pair that turns `rotations` times within the original context.
double PairOfRotations(double rotations, int64_t dim, double theta, double context) {
  return static_cast<double>(dim) * std::log(context / (rotations * 2 * kPi)) /
         (2 * std::log(theta));
}

void Yarn(const RopeScaling& s, double theta, int64_t dim, int64_t max_position_embeddings,
          RopeFrequencies* rope) {
  // As transformers does, the ratio of the contexts stands before the factor where both are given.
  const bool has_original = s.original_max_position_embeddings > 0;
  const double positions = static_cast<double>(max_position_embeddings);
  const double context = has_original ? s.original_max_position_embeddings : positions;
  const double factor = has_original ? positions / context : s.factor;
  double low = PairOfRotations(s.beta_fast, dim, theta, context);
  double high = PairOfRotations(s.beta_slow, dim, theta, context);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dim - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < rope->inv_freq.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    const double kept = rope->inv_freq[i];
    rope->inv_freq[i] = static_cast<float>(kept / factor * ramp + kept * (1 - ramp));
  }
  if (s.attention_factor > 0) {
    rope->attention_factor = static_cast<float>(s.attention_factor);
  } else if (s.mscale > 0 && s.mscale_all_dim > 0) {
    rope->attention_factor =
        static_cast<float>(YarnMscale(factor, s.mscale) / YarnMscale(factor, s.mscale_all_dim));
  } else {
    rope->attention_factor = static_cast<float>(YarnMscale(factor, 1));
  }
}

}  // namespace

double YarnMscale(double scale, double mscale) {
  return scale <= 1 ? 1 : 0.1 * mscale * std::log(scale) + 1;
}

RopeFrequencies ComputeRope(const RopeScaling& scaling, double theta, int64_t dim,
                            int64_t max_position_embeddings) {
  RopeFrequencies rope;
  rope.inv_freq.resize(static_cast<size_t>(dim / 2));
  for (size_t i = 0; i < rope.inv_freq.size(); ++i) {
    double inv_freq =
        std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
    if (scaling.type == RopeScaling::Type::kLinear) inv_freq /= scaling.factor;
    if (scaling.type == RopeScaling::Type::kLlama3) inv_freq = Llama3(scaling, inv_freq);
    rope.inv_freq[i] = static_cast<float>(inv_freq);
  }
  if (scaling.type == RopeScaling::Type::kYarn) {
    Yarn(scaling, theta, dim, max_position_embeddings, &rope);
  }
  return rope;
}

absl::Status RopeScaling::Validate() const {
  const auto bad = [](const char* key, const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("rope_scaling.", key, " ", what));
  };
  const std::pair<const char*, double> not_negative[] = {
      {"original_max_position_embeddings", original_max_position_embeddings},
      {"mscale", mscale},
      {"mscale_all_dim", mscale_all_dim},
      {"attention_factor", attention_factor},
  };
  for (const auto& [key, value] : not_negative) {
    if (!(value >= 0) || !std::isfinite(value)) return bad(key, "must not be negative");
  }
  const std::pair<const char*, double> positive[] = {
      {"factor", factor},       {"low_freq_factor", low_freq_factor},
      {"beta_fast", beta_fast}, {"high_freq_factor", high_freq_factor},
      {"beta_slow", beta_slow},
  };
  for (const auto& [key, value] : positive) {
    if (!(value > 0) || !std::isfinite(value)) return bad(key, "must be more than 0");
  }
  if (type == Type::kLlama3) {
    if (original_max_position_embeddings == 0) {
      return bad("original_max_position_embeddings", "is missing: llama3 needs it");
    }
    if (high_freq_factor <= low_freq_factor) {
      return bad("high_freq_factor", "must exceed low_freq_factor");
    }
  }
  return absl::OkStatus();
}

}  // namespace ponder::moe

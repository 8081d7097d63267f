// The policy losses, one response at a time, with their gradients by the log-probs; float64, no
// tensors.
//
// A new loss is a function on Response and a line in the table of policy_loss.cc. Only what is
// differentiated counts as a function of the current policy; what the papers mark sg() is constant.
#pragma once

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace ponder::learner {

// One response as a policy loss sees it, l tokens. r_t = exp(log_ratio_t) = pi / pi_old.
struct Response {
  absl::Span<const double> logprob;    // log pi
  absl::Span<const double> log_ratio;  // log pi - log pi_old
  absl::Span<const double> advantage;
  absl::Span<const double> weight;  // of each token in the sum; 0: masked
  double clip_low = 0.2;
  double clip_high = 0.28;
};

// Returns the loss, writes its gradient by logprob [l], and adds the number of tokens whose
// gradient the clip removed (or whose weight it cut).
using PolicyLossFunction = double (*)(const Response& response, absl::Span<double> gradient,
                                      int64_t* clipped);

//   clip       -sum w min(r A, clip(r, 1 - low, 1 + high) A)     PPO 1707.06347, DAPO 2503.14476
//   gspo       the same with s = exp(mean_t log r_t) for each r  GSPO 2507.18071
//   cispo      -sum w sg(clip(r, 1 - low, 1 + high)) A log pi    CISPO 2506.13585
//   reinforce  -sum w A log pi                                   REINFORCE
//
// Null: no such loss.
PolicyLossFunction FindPolicyLoss(const std::string& name);

// How the loss makes up for samples that another policy drew than pi_old: a constant weight from
// rho_t = pi_old / pi_behaviour.
struct RatioCorrection {
  enum class Kind {
    kNone,
    kTruncate,          // min(rho_t, max): truncated importance sampling
    kMask,              // rho_t, but 0 outside [min, max]: masked IS; with [0.5, 5] IcePop
    kSequenceTruncate,  // min(prod rho_t, max), of the whole response
    kSequenceMask,      // 1, but 0 for a response whose geometric mean of rho is outside [min, max]
  };
  Kind kind = Kind::kNone;
  double min = 0.5;
  double max = 5;
};
// Writes the weight of each token [l] of a response from log rho [l]; returns how many it cut.
int64_t CorrectionWeights(const RatioCorrection& correction, absl::Span<const double> log_rho,
                          absl::Span<double> weights);

}  // namespace ponder::learner

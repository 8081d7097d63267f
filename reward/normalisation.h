// Rewards of several sources on one scale: running mean and deviation of each source's rewards, by
// stochastic approximation, and what to make of a reward with them. Values; pure arithmetic.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/types.h"

namespace ponder::reward {

// Of a stream x_1, x_2, ...: with a_n = max(1 / n, rate)
//
//   mean     <- mean + a_n (x - mean)
//   variance <- variance + a_n ((x - old mean)(x - new mean) - variance)
//
// (Robbins and Monro, 1951). While 1 / n is above the rate these are mean and population variance
// of all that came; after that the weight of what came fades by (1 - rate) with each number, so
// that they follow a policy that moves.
struct RunningMoments {
  int64_t count = 0;
  double mean = 0;
  double variance = 0;

  void Learn(double x, double rate);
  double deviation() const;
};

// x -> (x - shift) / scale.
struct Affine {
  double shift = 0;
  double scale = 1;
  double operator()(double x) const { return (x - shift) / scale; }
};

// Gives each score (correctness + preference) its source's shift and scale; the overlong penalty
// stays as it is. Advantages are taken anew.
void Normalise(const Affine& affine, std::vector<Score>* scores);

class SourceNormaliser {
 public:
  enum class Kind {
    kNone,         // rewards stay as they are
    kScale,        // divided by the deviation of their source
    kStandardise,  // and the mean is subtracted before
  };
  struct Options {
    Kind kind = Kind::kNone;
    double rate = 1e-3;            // least weight of a new reward
    double least_deviation = 0.1;  // of a source that varies less, or not at all
  };
  using Moments = std::map<std::string, RunningMoments>;  // by source

  // `start`: of an earlier normaliser, to go on from.
  explicit SourceNormaliser(const Options& options, Moments start = {})
      : options_(options), moments_(std::move(start)) {}

  // The scores of a group, before Normalise, count in the moments of their source.
  void Learn(const std::string& source, absl::Span<const Score> scores);
  Affine Of(const std::string& source) const;
  const Moments& moments() const { return moments_; }

 private:
  Options options_;
  Moments moments_;
};

}  // namespace ponder::reward

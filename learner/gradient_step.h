// GradientStep: what every update does around its backward passes: gradients start at zero, are
// summed over ranks, clipped and handed to AdamW. A machine; every rank has one for each model that
// it trains, and calls it in the same order.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "learner/adamw.h"
#include "learner/lora.h"
#include "learner/mesh.h"
#include "moe/decoder.h"

namespace ponder::learner {

class GradientStep {
 public:
  struct Options {
    AdamW::Options adamw;
    double max_grad_norm = 1;  // of the gradient over all parameters
  };
  // `decoder` and `mesh` outlive it.
  GradientStep(const Options& options, moe::Decoder& decoder, const Mesh& mesh);

  void Begin();
  // Sums what the backward passes left; the norm of the whole gradient.
  absl::StatusOr<double> Sum();
  // Clips and steps. Internal, and the weights stay as they were: loss or norm is not finite.
  absl::Status Apply(double loss, double grad_norm, double lr);

  // From now on only these are trained, with an optimizer of their own.
  void UseAdapters(std::unique_ptr<LoraAdapters> lora);
  LoraAdapters* lora() { return lora_.get(); }  // null: all parameters are trained
  // Made when it is first asked for.
  AdamW& optimizer();

 private:
  const Options options_;
  moe::Decoder& decoder_;
  const Mesh& mesh_;
  std::unique_ptr<LoraAdapters> lora_;
  std::unique_ptr<AdamW> optimizer_;
};

}  // namespace ponder::learner

// LoRA (arXiv 2106.09685): of chosen matrices only a low-rank change is trained,
//
//   W = W_0 + (alpha / r) B A,   A [r, in] ~ Kaiming uniform, B [out, r] = 0 at the start
//
// The decoder always holds the merged W, so that its forward pass is the one that actors run on the
// weights that it publishes: an on-policy ratio stays exactly 1. It is frozen: gradients and the
// optimizer's moments are those of A and B alone. A scalar head is trained whole.
//
// A machine: owns A and B, their gradients and a copy of W_0. Without expert parallelism: every
// rank holds all of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "learner/adamw.h"
#include "moe/checked_folder.h"
#include "moe/decoder.h"

namespace ponder::learner {

class LoraAdapters {
 public:
  struct Options {
    int64_t rank = 8;
    double alpha = 16;
    // Last names of the matrices that get one, as in PEFT's target_modules.
    std::vector<std::string> targets = {"q_proj", "k_proj", "v_proj", "o_proj"};
    uint64_t seed = 1;       // of A
    std::string base_model;  // where W_0 came from; goes into adapter_config.json
  };
  // Adapters that change nothing yet. `decoder` outlives them, is frozen and holds W_0.
  // InvalidArgument: a target that no matrix has, or a rank that is no less than a matrix's.
  static absl::StatusOr<std::unique_ptr<LoraAdapters>> Make(const Options& options,
                                                            moe::Decoder& decoder);

  // What is trained, A before B of each matrix, then a scalar head: for an optimizer.
  absl::Span<const moe::Parameter> parameters() const { return parameters_; }
  // Numbers in them, and in the whole model.
  int64_t trained() const;
  int64_t all() const;

  // Of A and B of all matrices, as one flat array: what the decoder's Backward adds to.
  absl::Span<float> gradients();
  void ZeroGradients();
  // Writes W into the decoder, which then wants WeightsChanged.
  void Merge();

  // adapter_model.safetensors and adapter_config.json, as PEFT names things.
  moe::FolderFiles Files() const;
  // Reads them, and with `optimizer` its moments, from a folder that has the files of Files and
  // OptimizerFile; then merges. DataLoss: they are not of this model and these options.
  absl::Status Load(const std::string& folder, AdamW* optimizer = nullptr);
  // Moments of the adapters, by name.
  static constexpr char kOptimizerFile[] = "adapter_optimizer.safetensors";
  moe::FolderFile OptimizerFile(AdamW& optimizer) const;

 private:
  struct Adapter {
    moe::Parameter target;  // shares the decoder's storage
    at::Tensor base;        // W_0 [out, in]
    size_t a = 0;           // place of A in parameters_; B follows
  };
  LoraAdapters(const Options& options, moe::Decoder& decoder)
      : options_(options), decoder_(decoder) {}
  // Of the adapters in parameters_, which the decoder gets to know.
  void MakeGradients();
  std::vector<std::string> TargetNames() const;
  double scale() const { return options_.alpha / static_cast<double>(options_.rank); }

  const Options options_;
  moe::Decoder& decoder_;
  std::vector<Adapter> adapters_;
  std::vector<moe::Parameter> parameters_;
  at::Tensor gradients_;
};

}  // namespace ponder::learner

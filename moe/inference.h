// Inference: the decoder's forward pass over a paged KV cache, without LibTorch and without
// allocation in steady state. The learner's forward (moe/decoder.h) composes the same kernels in
// the same order and gives the same bits (promise 2).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "moe/checkpoint.h"
#include "moe/kernels/attention.h"
#include "moe/kernels/gemm.h"
#include "moe/kernels/thread_pool.h"

namespace ponder::moe {

// Weights of one version, packed for the kernels. A value, immutable, shared. A narrow type is for
// all matrices but the router's; the learner's bits are those of float32 alone.
class PackedModel;
absl::StatusOr<std::shared_ptr<const PackedModel>> PackModel(
    kernels::ThreadPool& pool, const Model& model,
    kernels::WeightType type = kernels::WeightType::kFloat32);

// A machine: owns scratch memory. One thread at a time.
class Inference {
 public:
  // `pool` and the model outlive it.
  Inference(kernels::ThreadPool& pool, std::shared_ptr<const PackedModel> model);
  ~Inference();

  // From the next Forward on. Same config.
  void SetModel(std::shared_ptr<const PackedModel> model);
  const ModelConfig& config() const;

  // Feeds T tokens, each a row of its own: token ids, the pages of its sequence and its length up
  // to and with this token (position = length - 1). Rows of one sequence must come in ascending
  // order in one call or over several; their keys and values are stored in the pages. Afterwards
  // logits(i) is the row for the i-th entry of `logit_rows` (indices into T).
  void Forward(absl::Span<const int32_t> tokens_T, absl::Span<const kernels::AttentionRow> rows_T,
               absl::Span<const int32_t> logit_rows);
  const float* logits(int64_t i) const;  // [vocab_size]; [1] of a model with a scalar head

  // The experts that the router of `layer` chose in the last Forward, best first, and their final
  // weights: [T * num_experts_per_tok]. Empty for a dense layer, or unless it was asked to record.
  void RecordRouting(bool record) { record_routing_ = record; }
  struct Routing {
    std::vector<int32_t> experts;
    std::vector<float> weights;
  };
  const Routing& routing(int64_t layer) const { return routing_[static_cast<size_t>(layer)]; }

 private:
  struct Scratch;
  kernels::ThreadPool& pool_;
  std::shared_ptr<const PackedModel> model_;
  std::unique_ptr<Scratch> scratch_;
  bool record_routing_ = false;
  std::vector<Routing> routing_;  // [layers]
};

}  // namespace ponder::moe

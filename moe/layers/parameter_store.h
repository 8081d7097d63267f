// ParameterStore: one rank's parameters and their gradients, each kind (replicated, expert) in one
// flat buffer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "comm/group.h"
#include "moe/decoder.h"
#include "moe/model_config.h"
#include "moe/weights.h"

namespace ponder::moe {

// The experts that this rank owns: [first, first + count).
struct ExpertShard {
  int64_t first = 0;
  int64_t count = 0;
};

// What a layer holds of a parameter: where it and its gradient lie. Both contiguous.
struct ParameterView {
  float* weight = nullptr;
  float* gradient = nullptr;  // null: of a frozen parameter
  std::vector<int64_t> shape;
  const LowRank* adapter = nullptr;  // outlives the view; of rank 0: there is none
  int64_t first_row = 0;             // of `weight` in the adapter's product

  bool adapted() const { return adapter != nullptr && adapter->rank > 0; }
  // The rows [first, first + count) alone.
  ParameterView Rows(int64_t first, int64_t count) const {
    int64_t width = 1;
    for (size_t i = 1; i < shape.size(); ++i) width *= shape[i];
    ParameterView rows = *this;
    rows.weight += first * width;
    if (gradient != nullptr) rows.gradient += first * width;
    rows.first_row += first;
    rows.shape[0] = count;
    return rows;
  }
};

// A machine: owns the tensors.
class ParameterStore {
 public:
  // `frozen`: only a scalar head gets a gradient.
  ParameterStore(const ModelConfig& config, ExpertShard shard, bool frozen);

  absl::Span<const Parameter> parameters() const { return parameters_; }
  // The parameter must be this rank's.
  ParameterView View(absl::string_view name) const;
  bool Has(absl::string_view name) const { return index_.contains(std::string(name)); }
  absl::Span<float> gradients(bool expert);
  // The adapter of every view of the parameter, those that are out already too.
  LowRank& adapter(absl::string_view name);

  absl::Status Load(const Weights& weights);
  // All ranks' weights in the order of config.Layout(). `expert_group` may be null.
  absl::StatusOr<std::shared_ptr<const Weights>> Export(int64_t version,
                                                        comm::Group* expert_group) const;

 private:
  struct Flat {
    at::Tensor weights;    // [sum of sizes]
    at::Tensor gradients;  // of those that have one
  };
  absl::Span<const float> weights(bool expert) const;

  WeightManifest layout_;
  Flat replicated_;
  Flat expert_;
  std::vector<Parameter> parameters_;               // views of the above
  std::vector<std::unique_ptr<LowRank>> adapters_;  // one a parameter
  absl::flat_hash_map<std::string, size_t> index_;
};

}  // namespace ponder::moe

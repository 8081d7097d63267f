// SharedMlp: the expert that every token visits: y += mlp(x) (DeepSeek), or weighted by a gate of its
// own (Qwen2-MoE): y += sigmoid(gate x) * mlp(x).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ATen/core/Tensor.h"
#include "moe/layers/linear.h"
#include "moe/layers/mlp.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

class SharedMlp {
 public:
  struct Kept {
    SwiGluMlp::Kept mlp;
    at::Tensor gate;  // [T], before the sigmoid; with a gate
    at::Tensor out;   // [T, H] of the MLP; with a gate
  };
  // Parameters `prefix` + "shared_expert.*" and, if there is one, "shared_expert_gate.weight".
  SharedMlp(const ParameterStore& parameters, const std::string& prefix, Workspace& workspace);

  void Pack();
  // Adds to y [T, H]; fills `kept`.
  void Forward(const float* x_TH, int64_t t, float* y_TH, Kept* kept) const;
  // Adds to dx [T, H].
  void Backward(const float* dy_TH, const float* x_TH, int64_t t, const Kept& kept,
                float* dx_TH) const;

 private:
  Workspace& workspace_;
  SwiGluMlp mlp_;
  std::optional<Linear> gate_;
};

}  // namespace ponder::moe

// SwiGluMlp: down(silu(gate x) * up x), of dense layers and of the shared expert; DenseBlock: x +
// mlp(norm(x)).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "moe/layers/block.h"
#include "moe/layers/linear.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/rms_norm.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {

class SwiGluMlp {
 public:
  struct Kept {
    at::Tensor gate, up;  // [T, F]
  };
  // Parameters `prefix` + "gate_proj", "up_proj", "down_proj", with or without biases.
  SwiGluMlp(const ParameterStore& parameters, const std::string& prefix, Workspace& workspace);

  void Pack();
  int64_t width() const { return down_proj_.out(); }  // H
  // y [T, H]; fills `kept`.
  void Forward(const float* x_TH, int64_t t, float* y_TH, Kept* kept) const;
  // Adds to dx [T, H].
  void Backward(const float* dy_TH, const float* x_TH, int64_t t, const Kept& kept,
                float* dx_TH) const;

 private:
  Workspace& workspace_;
  Linear gate_proj_;
  Linear up_proj_;
  Linear down_proj_;
};

class DenseBlock : public Block {
 public:
  DenseBlock(const ModelConfig& config, int64_t layer, const ParameterStore& parameters,
             Workspace& workspace);

  void Pack() override { mlp_.Pack(); }
  absl::StatusOr<at::Tensor> Forward(const Batch& batch, const at::Tensor& x_TH,
                                     std::unique_ptr<Saved>* saved) override;
  absl::StatusOr<at::Tensor> Backward(const Batch& batch, const at::Tensor& dy_TH,
                                      const Saved& saved) override;

 private:
  struct Kept;

  Workspace& workspace_;
  RmsNorm norm_;
  SwiGluMlp mlp_;
};

}  // namespace ponder::moe

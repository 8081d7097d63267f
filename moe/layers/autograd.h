// The layers as LibTorch autograd functions: the chain embedding -> blocks -> head becomes a graph
// that a loss can walk back.
//
// Gradients of parameters don't travel through the graph: each layer adds them to its own buffers.
// A failing collective leaves these functions, and the backward pass, as a StatusError.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "moe/layers/batch.h"
#include "moe/layers/block.h"
#include "moe/layers/embedding.h"
#include "moe/layers/lm_head.h"
#include "moe/layers/row_norm.h"
#include "moe/layers/value_head.h"

namespace ponder::moe {

// Carries a Status through LibTorch, which knows only exceptions.
class StatusError : public std::exception {
 public:
  explicit StatusError(absl::Status status)
      : status_(std::move(status)), text_(status_.ToString()) {}
  const absl::Status& status() const { return status_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  absl::Status status_;
  std::string text_;
};

// The layers outlive the graph. `leaf` makes the graph need gradients; it gets none itself.
at::Tensor ApplyEmbedding(const Embedding& embedding, std::shared_ptr<const Batch> batch,
                          const at::Tensor& leaf);
at::Tensor ApplyBlock(Block& block, std::shared_ptr<const Batch> batch, const at::Tensor& x_TH);
TokenStats ApplyLmHead(const LmHead& head, LmHead::Query query, const at::Tensor& x_TH);
at::Tensor ApplyRowNorm(const RowNorm& norm, std::vector<int32_t> rows, const at::Tensor& x_TH);
at::Tensor ApplyValueHead(const ValueHead& head, std::vector<int32_t> rows, const at::Tensor& x_TH);

}  // namespace ponder::moe

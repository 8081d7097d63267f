// See lm_head.h.
#include "moe/layers/lm_head.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "moe/kernels/elementwise.h"
#include "moe/kernels/routing.h"

namespace ponder::moe {

LmHead::LmHead(ParameterView norm, float eps, ParameterView head, Workspace& workspace)
    : workspace_(workspace),
      norm_(workspace, std::move(norm), eps),
      head_(workspace, std::move(head)) {}

// About a million logits at a time: few enough for the cache, enough to fill the threads.
int64_t LmHead::ChunkRows() const {
  return std::max<int64_t>(32, (int64_t{1} << 20) / head_.out());
}

TokenStats LmHead::Forward(const at::Tensor& x_TH, const Query& query) const {
  const int64_t n = query.rows.size();
  const int64_t h = head_.in();
  const int64_t v = head_.out();
  const int64_t chunk = std::min(n, ChunkRows());
  TokenStats stats{workspace_.activations.New({n}), workspace_.activations.New({n}),
                   workspace_.activations.New({n}), at::Tensor()};
  const at::Tensor x = workspace_.activations.New({chunk, h});
  const at::Tensor logits = workspace_.activations.New({chunk, v});
  for (int64_t first = 0; first < n; first += chunk) {
    const int64_t rows = std::min(chunk, n - first);
    kernels::GatherRows(workspace_.pool, x_TH.data_ptr<float>(), query.rows.data() + first, rows, h,
                        x.data_ptr<float>());
    norm_.Forward(x.data_ptr<float>(), rows, x.data_ptr<float>(), nullptr);
    head_.Forward(x.data_ptr<float>(), rows, logits.data_ptr<float>(), v);
    kernels::LogSoftmaxStats(workspace_.pool, logits.data_ptr<float>(), rows, v, query.temperature,
                             query.targets.data() + first, stats.log_z.data_ptr<float>() + first,
                             stats.entropy.data_ptr<float>() + first,
                             stats.logprob.data_ptr<float>() + first);
  }
  return stats;
}

// With p = softmax(z / T): d entropy / dz_v = -p_v (log p_v + entropy) / T, d log_z / dz_v = p_v /
// T.
void LmHead::AddSpreadGradient(const Gradients& gradients, const TokenStats& stats, int64_t first,
                               const float* logits, int64_t rows, float temperature,
                               float* dlogits) const {
  const int64_t v = head_.out();
  const float* dentropy =
      gradients.entropy.defined() ? gradients.entropy.data_ptr<float>() : nullptr;
  const float* dlog_z = gradients.log_z.defined() ? gradients.log_z.data_ptr<float>() : nullptr;
  const float* entropy = stats.entropy.data_ptr<float>();
  const float* log_z = stats.log_z.data_ptr<float>();
  const float scale = 1 / temperature;
  workspace_.pool.ParallelFor(rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = first + i;
      const float by_entropy = dentropy == nullptr ? 0 : dentropy[n] * scale;
      const float by_log_z = dlog_z == nullptr ? 0 : dlog_z[n] * scale;
      for (int64_t j = i * v; j < (i + 1) * v; ++j) {
        const float logprob = logits[j] * scale - log_z[n];
        dlogits[j] += std::exp(logprob) * (by_log_z - by_entropy * (logprob + entropy[n]));
      }
    }
  });
}

at::Tensor LmHead::Backward(const Gradients& gradients, const at::Tensor& x_TH,
                            const TokenStats& stats, const Query& query) const {
  const int64_t n = query.rows.size();
  const int64_t h = head_.in();
  const int64_t v = head_.out();
  const int64_t chunk = std::min(n, ChunkRows());
  at::Tensor dx_TH = workspace_.activations.Zeros(x_TH.sizes());
  const at::Tensor x = workspace_.activations.New({chunk, h});
  const at::Tensor normed = workspace_.activations.New({chunk, h});
  const at::Tensor inv_rms = workspace_.activations.New({chunk});
  const at::Tensor logits = workspace_.activations.New({chunk, v});
  const bool spreads = gradients.entropy.defined() || gradients.log_z.defined();
  const at::Tensor apart = workspace_.activations.New({spreads ? chunk : 0, v});
  const at::Tensor dlogprob =
      gradients.logprob.defined() ? gradients.logprob : workspace_.activations.Zeros({n});
  for (int64_t first = 0; first < n; first += chunk) {
    const int64_t rows = std::min(chunk, n - first);
    kernels::GatherRows(workspace_.pool, x_TH.data_ptr<float>(), query.rows.data() + first, rows, h,
                        x.data_ptr<float>());
    norm_.Forward(x.data_ptr<float>(), rows, normed.data_ptr<float>(), inv_rms.data_ptr<float>());
    head_.Forward(normed.data_ptr<float>(), rows, logits.data_ptr<float>(), v);
    // Over the logits, unless they are still needed.
    float* dlogits = (spreads ? apart : logits).data_ptr<float>();
    kernels::LogSoftmaxBackward(workspace_.pool, logits.data_ptr<float>(), rows, v,
                                query.temperature, query.targets.data() + first,
                                stats.log_z.data_ptr<float>() + first,
                                dlogprob.data_ptr<float>() + first, dlogits);
    if (spreads) {
      AddSpreadGradient(gradients, stats, first, logits.data_ptr<float>(), rows, query.temperature,
                        dlogits);
    }
    AddWeightGradients(workspace_, normed.data_ptr<float>(), rows, {{&head_, dlogits}});
    float* dnormed = normed.data_ptr<float>();  // the normed rows are used up
    head_.BackwardInput(dlogits, rows, dnormed, /*accumulate=*/false);
    const at::Tensor dx = workspace_.activations.New({rows, h});
    norm_.Backward(dnormed, x.data_ptr<float>(), inv_rms.data_ptr<float>(), rows,
                   dx.data_ptr<float>());
    for (int64_t i = 0; i < rows; ++i) {
      float* to = dx_TH.data_ptr<float>() + query.rows[first + i] * h;
      const float* from = dx.data_ptr<float>() + i * h;
      for (int64_t j = 0; j < h; ++j) to[j] += from[j];
    }
  }
  return dx_TH;
}

}  // namespace ponder::moe

// See lm_head.h.
#include "moe/layers/lm_head.h"

#include <ATen/ATen.h>

#include <algorithm>
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
                   workspace_.activations.New({n})};
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

at::Tensor LmHead::Backward(const at::Tensor& dlogprob_N, const at::Tensor& x_TH,
                            const at::Tensor& log_z_N, const Query& query) const {
  const int64_t n = query.rows.size();
  const int64_t h = head_.in();
  const int64_t v = head_.out();
  const int64_t chunk = std::min(n, ChunkRows());
  at::Tensor dx_TH = workspace_.activations.Zeros(x_TH.sizes());
  const at::Tensor x = workspace_.activations.New({chunk, h});
  const at::Tensor normed = workspace_.activations.New({chunk, h});
  const at::Tensor inv_rms = workspace_.activations.New({chunk});
  const at::Tensor logits = workspace_.activations.New({chunk, v});
  for (int64_t first = 0; first < n; first += chunk) {
    const int64_t rows = std::min(chunk, n - first);
    kernels::GatherRows(workspace_.pool, x_TH.data_ptr<float>(), query.rows.data() + first, rows, h,
                        x.data_ptr<float>());
    norm_.Forward(x.data_ptr<float>(), rows, normed.data_ptr<float>(), inv_rms.data_ptr<float>());
    head_.Forward(normed.data_ptr<float>(), rows, logits.data_ptr<float>(), v);
    float* dlogits = logits.data_ptr<float>();
    kernels::LogSoftmaxBackward(workspace_.pool, dlogits, rows, v, query.temperature,
                                query.targets.data() + first, log_z_N.data_ptr<float>() + first,
                                dlogprob_N.data_ptr<float>() + first, dlogits);
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

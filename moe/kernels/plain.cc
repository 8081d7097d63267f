// Plain, obvious versions of every kernel: one loop nest each, the order of sums as the headers
// promise.
#include <algorithm>
#include <cmath>
#include <vector>

#include "moe/kernels/attention.h"
#include "moe/kernels/sampling.h"
#include "moe/kernels/softmax.h"

namespace ponder::kernels {

int64_t KvPageFloats(const AttentionShape& s, int64_t layers) {
  return layers * s.kv_heads * 2 * s.head_dim * kKvBlock;
}
static float* KOf(const AttentionShape& s, float* page, int64_t layer, int64_t kh) {
  return page + (layer * s.kv_heads + kh) * 2 * s.head_dim * kKvBlock;
}
void StoreKv(const AttentionShape& s, int64_t layer, const float* k, const float* v, int64_t rs,
             absl::Span<const AttentionRow> rows) {
  for (size_t t = 0; t < rows.size(); ++t) {
    const int64_t pos = rows[t].length - 1, at = pos % kKvBlock;
    for (int64_t h = 0; h < s.kv_heads; ++h) {
      float* K = KOf(s, rows[t].pages[pos / kKvBlock], layer, h);
      float* W = K + s.head_dim * kKvBlock;
      for (int64_t d = 0; d < s.head_dim; ++d) {
        K[d * kKvBlock + at] = k[t * rs + h * s.head_dim + d];
        W[at * s.head_dim + d] = v[t * rs + h * s.head_dim + d];
      }
    }
  }
}
void AttentionForward(ThreadPool&, const AttentionShape& s, int64_t layer, const float* q,
                      int64_t qs, absl::Span<const AttentionRow> rows, float* out, float* lse) {
  const int64_t D = s.head_dim, per = s.heads / s.kv_heads;
  std::vector<float> acc(D);
  for (size_t t = 0; t < rows.size(); ++t)
    for (int64_t h = 0; h < s.heads; ++h) {
      const float* qq = q + t * qs + h * D;
      float m = -INFINITY, z = 0;
      std::fill(acc.begin(), acc.end(), 0.f);
      for (int64_t b = 0; b * kKvBlock < rows[t].length; ++b) {
        const float* K = KOf(s, rows[t].pages[b], layer, h / per);
        const float* W = K + D * kKvBlock;
        const int64_t n = std::min(kKvBlock, rows[t].length - b * kKvBlock);
        float sc[kKvBlock];
        float bm = m;
        for (int64_t j = 0; j < n; ++j) {
          float x = 0;
          for (int64_t d = 0; d < D; ++d) x += qq[d] * K[d * kKvBlock + j];
          sc[j] = x * s.scale;
          bm = std::max(bm, sc[j]);
        }
        const float f = std::exp(m - bm);
        z *= f;
        for (auto& a : acc) a *= f;
        m = bm;
        for (int64_t j = 0; j < n; ++j) {
          const float p = std::exp(sc[j] - m);
          z += p;
          for (int64_t d = 0; d < D; ++d) acc[d] += p * W[j * D + d];
        }
      }
      for (int64_t d = 0; d < D; ++d) out[(t * s.heads + h) * D + d] = acc[d] / z;
      if (lse) lse[t * s.heads + h] = m + std::log(z);
    }
}
void AttentionBackward(ThreadPool&, const AttentionShape& s, absl::Span<const int64_t> st,
                       const float* q, const float* k, const float* v, int64_t qs, int64_t ks,
                       const float* out, const float* lse, const float* dout, float* dq, float* dk,
                       float* dv, int64_t dqs, int64_t dks) {
  const int64_t D = s.head_dim, per = s.heads / s.kv_heads;
  for (size_t u = 0; u + 1 < st.size(); ++u) {
    for (int64_t t = st[u]; t < st[u + 1]; ++t) {
      std::fill_n(dq + t * dqs, s.heads * D, 0.f);
      std::fill_n(dk + t * dks, s.kv_heads * D, 0.f);
      std::fill_n(dv + t * dks, s.kv_heads * D, 0.f);
    }
    for (int64_t t = st[u]; t < st[u + 1]; ++t)
      for (int64_t h = 0; h < s.heads; ++h) {
        const float* qq = q + t * qs + h * D;
        const float* o = out + (t * s.heads + h) * D;
        const float* g = dout + (t * s.heads + h) * D;
        float delta = 0;
        for (int64_t d = 0; d < D; ++d) delta += o[d] * g[d];
        for (int64_t j = st[u]; j <= t; ++j) {
          const float* kk = k + j * ks + h / per * D;
          const float* vv = v + j * ks + h / per * D;
          float x = 0, dp = 0;
          for (int64_t d = 0; d < D; ++d) {
            x += qq[d] * kk[d];
            dp += g[d] * vv[d];
          }
          const float p = std::exp(x * s.scale - lse[t * s.heads + h]),
                      ds = p * (dp - delta) * s.scale;
          for (int64_t d = 0; d < D; ++d) {
            dq[t * dqs + h * D + d] += ds * kk[d];
            dk[j * dks + h / per * D + d] += ds * qq[d];
            dv[j * dks + h / per * D + d] += p * g[d];
          }
        }
      }
  }
}
SampledToken SampleToken(const float* l, int64_t v, const SamplingOptions& o, float u, float* sc) {
  if (o.temperature == 0) {
    const int64_t b = std::max_element(l, l + v) - l;
    const float a = SoftmaxOf(l, v, 1).log_z;
    return {int32_t(b), LogProb(l, 1, a, b)};
  }
  const float a = SoftmaxOf(l, v, o.temperature).log_z;
  for (int64_t j = 0; j < v; ++j) sc[j] = std::exp(l[j] / o.temperature - a);
  float total = 0;
  if (o.top_p < 1) {
    std::vector<int32_t> ix(v);
    for (int64_t j = 0; j < v; ++j) ix[j] = j;
    std::stable_sort(ix.begin(), ix.end(), [&](int x, int y) { return sc[x] > sc[y]; });
    float c = 0;
    int64_t n = 0;
    while (n < v && c < o.top_p) c += sc[ix[n++]];
    for (int64_t j = n; j < v; ++j) sc[ix[j]] = 0;
  }
  for (int64_t j = 0; j < v; ++j) total += sc[j];
  float c = 0;
  int64_t pick = 0;
  for (int64_t j = 0; j < v; ++j) {
    if (sc[j] > 0) pick = j;
    c += sc[j];
    if (c > u * total) break;
  }
  return {int32_t(pick), LogProb(l, o.temperature, a, pick)};
}
}  // namespace ponder::kernels

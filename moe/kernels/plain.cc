// Plain, obvious versions of every kernel: one loop nest each, the order of sums as the headers
// promise.
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "moe/kernels/attention.h"
#include "moe/kernels/elementwise.h"
#include "moe/kernels/gemm.h"
#include "moe/kernels/routing.h"
#include "moe/kernels/sampling.h"
#include "moe/kernels/thread_pool.h"

namespace ponder::kernels {

struct ThreadPool::State {
  int threads;
};
ThreadPool::ThreadPool(int threads) : state_(new State{threads}) {}
ThreadPool::~ThreadPool() = default;
int ThreadPool::threads() const { return state_->threads; }
void ThreadPool::ParallelFor(int64_t n, int64_t grain,
                             absl::FunctionRef<void(int64_t, int64_t)> body) {
  if (n > 0) body(0, n);
}

constexpr int64_t kPanel = 32;
void PackedMatrix::Pack(ThreadPool&, const float* s, int64_t k, int64_t n, int64_t ks, int64_t ns) {
  k_ = k;
  n_ = n;
  const int64_t panels = (n + kPanel - 1) / kPanel;
  panels_.Resize(panels * k * kPanel);
  for (int64_t p = 0; p < panels; ++p)
    for (int64_t kk = 0; kk < k; ++kk)
      for (int64_t j = 0; j < kPanel; ++j) {
        const int64_t nn = p * kPanel + j;
        panels_.data()[(p * k + kk) * kPanel + j] = nn < n ? s[kk * ks + nn * ns] : 0;
      }
}
typedef float V __attribute__((vector_size(64), aligned(4)));
void Gemm(ThreadPool&, const float* a, int64_t rs, int64_t cs, int64_t m, const PackedMatrix& b,
          float* c, int64_t ldc, bool acc) {
  const int64_t k = b.k(), n = b.n(), panels = (n + kPanel - 1) / kPanel;
  for (int64_t p = 0; p < panels; ++p) {
    const float* bp = b.panels() + p * k * kPanel;
    const int64_t w = std::min(kPanel, n - p * kPanel);
    for (int64_t i = 0; i < m; ++i) {
      float t[kPanel] = {0};
      float* cr = c + i * ldc + p * kPanel;
      if (acc) std::memcpy(t, cr, w * 4);
      V x, y;
      std::memcpy(&x, t, 64);
      std::memcpy(&y, t + 16, 64);
      for (int64_t kk = 0; kk < k; ++kk) {
        const float av = a[i * rs + kk * cs];
        V b0, b1;
        std::memcpy(&b0, bp + kk * kPanel, 64);
        std::memcpy(&b1, bp + kk * kPanel + 16, 64);
        x += b0 * av;
        y += b1 * av;
      }
      std::memcpy(t, &x, 64);
      std::memcpy(t + 16, &y, 64);
      std::memcpy(cr, t, w * 4);
    }
  }
}
void GroupedGemm(ThreadPool& pool, const float* a, int64_t lda, absl::Span<const int64_t> off,
                 absl::Span<const PackedMatrix* const> b, float* c, int64_t ldc) {
  for (size_t e = 0; e + 1 < off.size(); ++e)
    if (off[e + 1] > off[e])
      Gemm(pool, a + off[e] * lda, lda, 1, off[e + 1] - off[e], *b[e], c + off[e] * ldc, ldc);
}
const char* KernelName() { return "generic"; }

void RmsNormForward(ThreadPool&, const float* x, const float* w, int64_t t, int64_t h, float eps,
                    float* y, float* inv) {
  for (int64_t i = 0; i < t; ++i) {
    float s = 0;
    for (int64_t j = 0; j < h; ++j) s += x[i * h + j] * x[i * h + j];
    const float r = 1 / std::sqrt(s / h + eps);
    if (inv) inv[i] = r;
    for (int64_t j = 0; j < h; ++j) y[i * h + j] = x[i * h + j] * r * w[j];
  }
}
void RmsNormBackward(ThreadPool&, const float* dy, const float* x, const float* w, const float* inv,
                     int64_t t, int64_t h, float* dx, float* dw) {
  for (int64_t i = 0; i < t; ++i) {
    const float r = inv[i];
    float s = 0;
    for (int64_t j = 0; j < h; ++j) {
      const float g = dy[i * h + j];
      s += g * w[j] * x[i * h + j];
      dw[j] += g * x[i * h + j] * r;
    }
    s = s * r * r * r / h;
    for (int64_t j = 0; j < h; ++j) dx[i * h + j] = dy[i * h + j] * w[j] * r - x[i * h + j] * s;
  }
}
void RopeTables(const float* f, int64_t half, int64_t n, float* c, float* s) {
  for (int64_t p = 0; p < n; ++p)
    for (int64_t i = 0; i < half; ++i) {
      const float a = static_cast<float>(p) * f[i];
      c[p * half + i] = std::cos(a);
      s[p * half + i] = std::sin(a);
    }
}
void Rope(ThreadPool&, float* x, int64_t rs, int64_t t, int64_t heads, int64_t d,
          const int32_t* pos, const float* c, const float* s, bool inverse) {
  const int64_t half = d / 2;
  for (int64_t i = 0; i < t; ++i)
    for (int64_t h = 0; h < heads; ++h) {
      float* v = x + i * rs + h * d;
      const float* cp = c + pos[i] * half;
      const float* sp = s + pos[i] * half;
      for (int64_t j = 0; j < half; ++j) {
        const float a = v[j], b = v[j + half], sn = inverse ? -sp[j] : sp[j];
        v[j] = a * cp[j] - b * sn;
        v[j + half] = b * cp[j] + a * sn;
      }
    }
}
void SwiGluForward(ThreadPool&, const float* g, const float* u, int64_t n, float* o) {
  for (int64_t i = 0; i < n; ++i) o[i] = g[i] / (1 + std::exp(-g[i])) * u[i];
}
void SwiGluBackward(ThreadPool&, const float* d, const float* g, const float* u, int64_t n,
                    float* dg, float* du) {
  for (int64_t i = 0; i < n; ++i) {
    const float s = 1 / (1 + std::exp(-g[i]));
    const float gi = g[i], ui = u[i], di = d[i];
    dg[i] = di * ui * s * (1 + gi * (1 - s));
    du[i] = di * gi * s;
  }
}
void AddInPlace(ThreadPool&, float* y, const float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}
static void Stats(const float* l, int64_t v, float temp, float* logz, float* ent) {
  float m = l[0] / temp;
  for (int64_t j = 1; j < v; ++j) m = std::max(m, l[j] / temp);
  float z = 0, e = 0;
  for (int64_t j = 0; j < v; ++j) {
    const float q = l[j] / temp - m, p = std::exp(q);
    z += p;
    e += p * q;
  }
  *logz = m + std::log(z);
  *ent = std::log(z) - e / z;
}
void LogSoftmaxStats(ThreadPool&, const float* l, int64_t t, int64_t v, float temp,
                     const int32_t* y, float* lz, float* en, float* lp) {
  for (int64_t i = 0; i < t; ++i) {
    float a, b;
    Stats(l + i * v, v, temp, &a, &b);
    if (lz) lz[i] = a;
    if (en) en[i] = b;
    if (lp) lp[i] = l[i * v + y[i]] / temp - a;
  }
}
void LogSoftmaxBackward(ThreadPool&, const float* l, int64_t t, int64_t v, float temp,
                        const int32_t* y, const float* lz, const float* c, float* d) {
  for (int64_t i = 0; i < t; ++i)
    for (int64_t j = 0; j < v; ++j) {
      const float p = std::exp(l[i * v + j] / temp - lz[i]);
      d[i * v + j] = c[i] * ((j == y[i]) - p) / temp;
    }
}
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
static void Scores(const RouterOptions& o, const float* l, std::vector<float>* s) {
  const int64_t E = o.num_experts;
  s->resize(E);
  if (o.scoring_func == ScoringFunc::kSigmoid) {
    for (int64_t e = 0; e < E; ++e) (*s)[e] = 1 / (1 + std::exp(-l[e]));
    return;
  }
  float m = *std::max_element(l, l + E), z = 0;
  for (int64_t e = 0; e < E; ++e) z += (*s)[e] = std::exp(l[e] - m);
  for (auto& x : *s) x /= z;
}
void RouterForward(ThreadPool&, const RouterOptions& o, const float* l, int64_t t,
                   const float* bias, int32_t* ex, float* w) {
  const int64_t E = o.num_experts, K = o.num_experts_per_tok;
  std::vector<float> s;
  std::vector<char> used;
  for (int64_t i = 0; i < t; ++i) {
    Scores(o, l + i * E, &s);
    used.assign(E, 0);
    float sum = 0;
    for (int64_t k = 0; k < K; ++k) {
      int64_t b = -1;
      for (int64_t e = 0; e < E; ++e)
        if (!used[e] && (b < 0 || s[e] + (bias ? bias[e] : 0) > s[b] + (bias ? bias[b] : 0))) b = e;
      used[b] = 1;
      ex[i * K + k] = b;
      w[i * K + k] = s[b];
      sum += s[b];
    }
    for (int64_t k = 0; k < K; ++k) {
      if (o.norm_topk_prob) w[i * K + k] /= sum;
      w[i * K + k] *= o.routed_scaling_factor;
    }
  }
}
void RouterBackward(ThreadPool&, const RouterOptions& o, const float* l, int64_t t,
                    const int32_t* ex, const float* dw, float* dl) {
  const int64_t E = o.num_experts, K = o.num_experts_per_tok;
  std::vector<float> s, ds(E);
  for (int64_t i = 0; i < t; ++i) {
    Scores(o, l + i * E, &s);
    std::fill(ds.begin(), ds.end(), 0.f);
    float sum = 0, dot = 0;
    for (int64_t k = 0; k < K; ++k) {
      sum += s[ex[i * K + k]];
      dot += dw[i * K + k] * s[ex[i * K + k]];
    }
    for (int64_t k = 0; k < K; ++k)
      ds[ex[i * K + k]] = o.routed_scaling_factor *
                          (o.norm_topk_prob ? (dw[i * K + k] - dot / sum) / sum : dw[i * K + k]);
    float d = 0;
    for (int64_t e = 0; e < E; ++e) d += ds[e] * s[e];
    for (int64_t e = 0; e < E; ++e)
      dl[i * E + e] =
          o.scoring_func == ScoringFunc::kSigmoid ? ds[e] * s[e] * (1 - s[e]) : s[e] * (ds[e] - d);
  }
}
void SortByExpert(const int32_t* ex, int64_t t, int64_t k, int64_t E, ExpertOrder* o) {
  o->offsets.assign(E + 1, 0);
  o->row_of.resize(t * k);
  o->token_of.resize(t * k);
  for (int64_t i = 0; i < t * k; ++i) ++o->offsets[ex[i] + 1];
  for (int64_t e = 0; e < E; ++e) o->offsets[e + 1] += o->offsets[e];
  std::vector<int64_t> at(o->offsets.begin(), o->offsets.end() - 1);
  for (int64_t i = 0; i < t * k; ++i) {
    const int64_t r = at[ex[i]]++;
    o->row_of[i] = r;
    o->token_of[r] = i / k;
  }
}
void GatherRows(ThreadPool&, const float* x, const int32_t* tok, int64_t rows, int64_t h,
                float* o) {
  for (int64_t r = 0; r < rows; ++r) std::memcpy(o + r * h, x + tok[r] * h, h * 4);
}
void CombineRows(ThreadPool&, const float* rows, const int32_t* ro, const float* w, int64_t t,
                 int64_t k, int64_t h, float* y) {
  for (int64_t i = 0; i < t; ++i)
    for (int64_t j = 0; j < h; ++j) {
      float s = 0;
      for (int64_t u = 0; u < k; ++u) s += w[i * k + u] * rows[ro[i * k + u] * h + j];
      y[i * h + j] = s;
    }
}
SampledToken SampleToken(const float* l, int64_t v, const SamplingOptions& o, float u, float* sc) {
  if (o.temperature == 0) {
    const int64_t b = std::max_element(l, l + v) - l;
    float a, e;
    Stats(l, v, 1, &a, &e);
    return {int32_t(b), l[b] - a};
  }
  float a, e;
  Stats(l, v, o.temperature, &a, &e);
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
  return {int32_t(pick), l[pick] / o.temperature - a};
}
}  // namespace ponder::kernels

// The row-wise kernels: RMSNorm, RoPE, SwiGLU, softmax statistics. A row's bits depend on that row
// alone.
#pragma once

#include "moe/kernels/isa/simd.h"
#include "moe/kernels/isa/table.h"

namespace ponder::kernels::PONDER_ISA {

// Calls body(i, lanes) for each vector of [0, n); lanes is 16 but for the last.
template <typename Body>
PONDER_INLINE void ForVectors(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, int64_t{kLanes});
  if (i < n) body(i, n - i);
}
PONDER_INLINE F16 LoadUpTo(const float* p, int64_t lanes) {
  return lanes == kLanes ? Load(p) : LoadFirst(p, lanes);
}
PONDER_INLINE void StoreUpTo(float* p, F16 a, int64_t lanes) {
  if (lanes == kLanes) {
    Store(p, a);
  } else {
    StoreFirst(p, a, lanes);
  }
}

// Sum over [0, n) of what term(sum, i, lanes) adds to its accumulator: four accumulators in turn,
// then a fixed tree. Terms of missing lanes must be zero.
template <typename Term>
PONDER_INLINE float SumVectors(int64_t n, Term term) {
  F16 sum[4] = {Zero(), Zero(), Zero(), Zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int u = 0; u < 4; ++u) sum[u] = term(sum[u], i + u * kLanes, int64_t{kLanes});
  }
#pragma GCC unroll 4
  for (int u = 0; u < 4; ++u) {
    if (i < n) sum[u] = term(sum[u], i, n - i < kLanes ? n - i : int64_t{kLanes});
    i += kLanes;
  }
  return Sum(Add(Add(sum[0], sum[1]), Add(sum[2], sum[3])));
}

static float SumOfSquares(const float* x, int64_t h) {
  return SumVectors(h, [x](F16 sum, int64_t i, int64_t lanes) {
    const F16 v = LoadUpTo(x + i, lanes);
    return Fma(v, v, sum);
  });
}

static void ScaleRow(const float* x, const float* weight, float scale, int64_t h, float* y) {
  const F16 s = Set1(scale);
  ForVectors(h, [=](int64_t i, int64_t lanes) {
    StoreUpTo(y + i, Mul(Mul(LoadUpTo(x + i, lanes), s), LoadUpTo(weight + i, lanes)), lanes);
  });
}

static void RmsNormBackwardRow(const float* dy, const float* x, const float* weight, float inv_rms,
                               int64_t h, float* dx, float* dweight) {
  const float dot = SumVectors(h, [=](F16 sum, int64_t i, int64_t lanes) {
    return Fma(Mul(LoadUpTo(dy + i, lanes), LoadUpTo(weight + i, lanes)), LoadUpTo(x + i, lanes),
               sum);
  });
  const F16 r = Set1(inv_rms);
  const F16 along_x = Set1(-(dot / static_cast<float>(h) * inv_rms * inv_rms * inv_rms));
  ForVectors(h, [=](int64_t i, int64_t lanes) {
    const F16 g = Mul(LoadUpTo(dy + i, lanes), r);
    const F16 v = LoadUpTo(x + i, lanes);
    StoreUpTo(dweight + i, Fma(g, v, LoadUpTo(dweight + i, lanes)), lanes);
    StoreUpTo(dx + i, Fma(v, along_x, Mul(g, LoadUpTo(weight + i, lanes))), lanes);
  });
}

static void RotateHeads(float* x, int64_t heads, int64_t half, const float* cos, const float* sin,
                        bool inverse) {
  const F16 sign = Set1(inverse ? -1.0f : 1.0f);
  for (int64_t h = 0; h < heads; ++h, x += 2 * half) {
    ForVectors(half, [=](int64_t i, int64_t lanes) {
      const F16 a = LoadUpTo(x + i, lanes);
      const F16 b = LoadUpTo(x + half + i, lanes);
      const F16 c = LoadUpTo(cos + i, lanes);
      const F16 s = Mul(LoadUpTo(sin + i, lanes), sign);
      StoreUpTo(x + i, Sub(Mul(a, c), Mul(b, s)), lanes);
      StoreUpTo(x + half + i, Add(Mul(a, s), Mul(b, c)), lanes);
    });
  }
}

PONDER_INLINE F16 Sigmoid(F16 x) { return Div(Set1(1), Add(Set1(1), Exp(Sub(Zero(), x)))); }

static void SwiGlu(const float* gate, const float* up, int64_t n, float* out) {
  ForVectors(n, [=](int64_t i, int64_t lanes) {
    const F16 g = LoadUpTo(gate + i, lanes);
    StoreUpTo(out + i, Mul(Mul(g, Sigmoid(g)), LoadUpTo(up + i, lanes)), lanes);
  });
}

static void SwiGluBackward(const float* dout, const float* gate, const float* up, int64_t n,
                           float* dgate, float* dup) {
  ForVectors(n, [=](int64_t i, int64_t lanes) {
    const F16 d = LoadUpTo(dout + i, lanes);
    const F16 g = LoadUpTo(gate + i, lanes);
    const F16 u = LoadUpTo(up + i, lanes);
    const F16 s = Sigmoid(g);
    // d silu = s (1 + g (1 - s))
    const F16 slope = Mul(s, Fma(g, Sub(Set1(1), s), Set1(1)));
    StoreUpTo(dgate + i, Mul(Mul(d, u), slope), lanes);
    StoreUpTo(dup + i, Mul(d, Mul(g, s)), lanes);
  });
}

// y += scale * x
static void AddScaled(float* y, const float* x, float scale, int64_t n) {
  const F16 s = Set1(scale);
  ForVectors(n, [=](int64_t i, int64_t lanes) {
    StoreUpTo(y + i, Fma(s, LoadUpTo(x + i, lanes), LoadUpTo(y + i, lanes)), lanes);
  });
}

static void SigmoidRow(const float* x, int64_t n, float* y) {
  ForVectors(n, [=](int64_t i, int64_t lanes) {
    StoreUpTo(y + i, Sigmoid(LoadUpTo(x + i, lanes)), lanes);
  });
}

static float MaxOf(const float* x, int64_t n) {
  const F16 lowest = Set1(-__builtin_inff());
  F16 best = lowest;
  ForVectors(n, [&](int64_t i, int64_t lanes) {
    best = Max(SelectFirst(LoadUpTo(x + i, lanes), lowest, lanes), best);
  });
  return MaxLane(best);
}

static isa::SoftmaxSums SumExp(const float* x, int64_t n, float scale) {
  const F16 s = Set1(scale);
  isa::SoftmaxSums out;
  out.max = MaxOf(x, n) * scale;
  const F16 shift = Set1(-out.max);
  F16 sum[2] = {Zero(), Zero()};
  F16 weighted[2] = {Zero(), Zero()};
  int turn = 0;
  ForVectors(n, [&](int64_t i, int64_t lanes) {
    const F16 q = Fma(LoadUpTo(x + i, lanes), s, shift);
    const F16 p = SelectFirst(Exp(q), Zero(), lanes);
    // p is 0 where q is -infinity; their product would not be.
    const F16 pq = Mul(p, Max(q, Set1(-100)));
    sum[turn] = Add(sum[turn], p);
    weighted[turn] = Add(weighted[turn], pq);
    turn ^= 1;
  });
  out.sum = Sum(Add(sum[0], sum[1]));
  out.weighted = Sum(Add(weighted[0], weighted[1]));
  return out;
}

// y = exp(x * scale - shift) * factor
static void ExpRow(const float* x, int64_t n, float scale, float shift, float factor, float* y) {
  const F16 s = Set1(scale);
  const F16 minus = Set1(-shift);
  const F16 f = Set1(factor);
  ForVectors(n, [=](int64_t i, int64_t lanes) {
    StoreUpTo(y + i, Mul(Exp(Fma(LoadUpTo(x + i, lanes), s, minus)), f), lanes);
  });
}

static float SumOf(const float* x, int64_t n) {
  return SumVectors(
      n, [x](F16 sum, int64_t i, int64_t lanes) { return Add(sum, LoadUpTo(x + i, lanes)); });
}

}  // namespace ponder::kernels::PONDER_ISA

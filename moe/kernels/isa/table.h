// KernelTable: the kernels of one instruction set, as functions on raw pointers. A value.
// The public kernels split the work over threads and call these through Kernels().
#pragma once

#include <stdint.h>

namespace ponder::kernels::isa {

// Columns of a panel of a packed B.
constexpr int64_t kPanel = 32;
// GemmTile's scratch for packing A: rows and depth of what it packs at a time.
constexpr int64_t kTileRows = 96;
constexpr int64_t kTileDepth = 512;

// How the elements of a packed B are kept. A panel of kFloat32 is floats [k, kPanel], of kBfloat16
// their upper halves. A panel of kInt8 is ceil(k / kQuantRows) blocks of kQuantBytes: a bfloat16
// scale for each column, then signed bytes [kQuantRows, kPanel]; an element is scale * byte.
enum class WeightType { kFloat32, kBfloat16, kInt8 };
constexpr int64_t kQuantRows = 32;
constexpr int64_t kQuantBytes = kPanel * 2 + kQuantRows * kPanel;
// Bytes of a panel.
constexpr int64_t PanelBytes(WeightType type, int64_t k) {
  return type == WeightType::kFloat32    ? k * kPanel * 4
         : type == WeightType::kBfloat16 ? k * kPanel * 2
                                         : (k + kQuantRows - 1) / kQuantRows * kQuantBytes;
}

// C [m, n] = A x B or C + A x B for m <= kTileRows, B as ceil(n / kPanel) panels. Whatever the type
// of B, its elements are multiplied as floats, in one chain.
struct GemmTileArgs {
  const float* a;
  int64_t row_stride;
  int64_t col_stride;
  int64_t m;
  int64_t k;
  int64_t n;
  WeightType type;
  const void* panels;
  float* c;
  int64_t ldc;
  bool accumulate;
  // [kTileRows * kTileDepth], used when col_stride != 1; else, for narrow types, [kTileDepth *
  // kPanel].
  float* scratch;
};

// Of a row y = scale * x: its greatest element, and the sums of e and of e * (y - max), e = exp(y -
// max).
struct SoftmaxSums {
  float max;
  float sum;
  float weighted;
};

// Queries [queries, head_dim] that share a list of pages and a key-value head; lengths[i] >= 1 keys
// each.
struct AttentionTileArgs {
  int64_t queries;
  int64_t head_dim;
  int64_t value_dim;
  float scale;
  const float* q;
  const int64_t* lengths;
  const float* const* pages;
  int64_t page_offset;              // of the head's keys in each page
  float* out;                       // [queries, value_dim]
  float* scores;                    // scratch [queries, kPanel]
  float* max;                       // [queries]: of the scaled scores
  float* sum;                       // [queries]: of exp(score - max)
  const float* upcoming = nullptr;  // a block of keys and values that is needed next, if known
};

// One sequence and one key-value head; pointers at the sequence's first row and the first of the
// `group` query heads.
struct AttentionBackwardArgs {
  int64_t length;
  int64_t group;
  int64_t head_dim;
  int64_t value_dim;
  float scale;
  const float* q;
  const float* k;
  const float* v;
  int64_t q_stride;
  int64_t kv_stride;
  const float* out;
  const float* dout;
  int64_t out_stride;
  const float* lse;
  int64_t lse_stride;
  float* dq;
  float* dk;
  float* dv;
  int64_t dq_stride;
  int64_t dkv_stride;
  float* scratch;  // [kPanel * (2 * kPanel + head_dim + value_dim) + length * group]
};

// Of one step over arrays [n]; see moe/kernels/optimizer.h.
struct AdamWArgs {
  float grad_scale;
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float sqrt_correction2;
  float eps;
  float step_size;
  float keep;
  int64_t n;
  float* theta;
  const float* grad;
  float* m;
  float* v;
};

struct KernelTable {
  const char* name;
  void (*gemm_tile)(const GemmTileArgs& args);

  float (*sum_of_squares)(const float* x, int64_t n);
  // y = x * scale * weight
  void (*scale_row)(const float* x, const float* weight, float scale, int64_t n, float* y);
  // Overwrites dx, adds to dweight.
  void (*rms_norm_backward_row)(const float* dy, const float* x, const float* weight, float inv_rms,
                                int64_t n, float* dx, float* dweight);
  // Rotates pairs (i, i + half) of each head [2 * half] in place.
  void (*rotate_heads)(float* x, int64_t heads, int64_t half, const float* cos, const float* sin,
                       bool inverse);
  void (*swiglu)(const float* gate, const float* up, int64_t n, float* out);
  void (*swiglu_backward)(const float* dout, const float* gate, const float* up, int64_t n,
                          float* dgate, float* dup);
  // y += scale * x
  void (*add_scaled)(float* y, const float* x, float scale, int64_t n);
  void (*sigmoid_row)(const float* x, int64_t n, float* y);
  SoftmaxSums (*softmax_sums)(const float* x, int64_t n, float scale);
  // y = exp(x * scale - shift) * factor; y may be x.
  void (*exp_row)(const float* x, int64_t n, float scale, float shift, float factor, float* y);
  float (*sum)(const float* x, int64_t n);
  // The greatest element; -infinity when n = 0.
  float (*max)(const float* x, int64_t n);
  void (*attention_tile)(const AttentionTileArgs& args);
  void (*attention_backward_head)(const AttentionBackwardArgs& args);

  double (*sum_of_squares_f64)(const float* x, int64_t n);
  void (*adamw)(const AdamWArgs& args);

  // Chains of multiply-adds in registers; returns how many floating-point operations. For
  // benchmarks.
  int64_t (*fma_peak)(int64_t steps, float* sink);
};

extern const KernelTable kAvx512Kernels;
extern const KernelTable kAvx2Kernels;
extern const KernelTable kGenericKernels;

// The table of that name, or null where this build or this machine cannot run it.
const KernelTable* FindKernels(const char* name);
// The fastest that this machine runs; chosen once.
const KernelTable& Kernels();

}  // namespace ponder::kernels::isa

// Matrix products whose every output element is one fixed chain of fused multiply-adds over k, in
// ascending order, starting from 0 (or from C when accumulating): the bits of a row do not depend
// on how many rows there are, on tiling or on threads.
//
// Shapes in comments: C [m, n] = A [m, k] x B [k, n]. All float32, row-major unless strides say
// otherwise; B may be packed as a narrower type, whose elements are multiplied as the floats that
// they stand for.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "moe/kernels/aligned_buffer.h"
#include "moe/kernels/isa/table.h"
#include "moe/kernels/thread_pool.h"

namespace ponder::kernels {

// How a packed weight is kept: float32; bfloat16, to nearest; or signed bytes with a bfloat16 scale
// for each column and 32 steps of k (8.5 bits an element).
using WeightType = isa::WeightType;

// B, repacked into column panels for the kernel in use. A value; movable.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // B[kk, nn] = source[kk * k_stride + nn * n_stride]. A weight stored [out, in] as B [in, out]:
  // k_stride 1, n_stride in. Repacking into the same shape reuses the memory.
  void Pack(ThreadPool& pool, const float* source, int64_t k, int64_t n, int64_t k_stride,
            int64_t n_stride, WeightType type = WeightType::kFloat32);

  // A weight stored [out, in] as B [k = in, n = out], read once, in blocks of kPanel rows of it, by
  // any threads of the pool: rows(first, count, scratch) returns the rows [first, first + count),
  // `count` times k floats, which may lie in scratch [kPanel * k]. The memory is `arena`'s.
  using Rows = absl::FunctionRef<const float*(int64_t first, int64_t count, float* scratch)>;
  void PackRows(ThreadPool& pool, Rows rows, int64_t k, int64_t n, WeightType type, Arena* arena);

  WeightType type() const { return type_; }
  int64_t k() const { return k_; }
  int64_t n() const { return n_; }
  const void* panel(int64_t i) const {
    return reinterpret_cast<const char*>(panels_.data()) + i * isa::PanelBytes(type_, k_);
  }

 private:
  // Returns the floats that the panels take.
  int64_t SetShape(int64_t k, int64_t n, WeightType type);
  // columns(first, count) points at B's column `first` and those behind it.
  using Columns = absl::FunctionRef<const float*(int64_t first, int64_t count)>;
  void PackPanels(ThreadPool& pool, Columns columns, int64_t k_stride, int64_t n_stride);

  int64_t k_ = 0;
  int64_t n_ = 0;
  WeightType type_ = WeightType::kFloat32;
  AlignedBuffer panels_;  // ceil(n / panel width) panels as isa/table.h lays them out, zero-padded
};

// C [m, n] (row stride ldc) = A x B, or C + A x B. A[i, kk] = a[i * row_stride + kk * col_stride];
// col_stride is 1 when B is of a narrow type.
void Gemm(ThreadPool& pool, const float* a, int64_t row_stride, int64_t col_stride, int64_t m,
          const PackedMatrix& b, float* c, int64_t ldc, bool accumulate = false);

// Rows grouped by expert: rows [offsets[e], offsets[e + 1]) of A [rows, k] times B[e] into the same
// rows of C [rows, n]. All B[e] have one shape; B[e] may be null when its range is empty.
void GroupedGemm(ThreadPool& pool, const float* a, int64_t lda, absl::Span<const int64_t> offsets,
                 absl::Span<const PackedMatrix* const> b, float* c, int64_t ldc);

// "f32", "bf16" or "int8" into `type`; false for another name.
bool ParseWeightType(absl::string_view name, WeightType* type);

// The instruction set chosen at start: "avx512", "avx2" or "generic".
const char* KernelName();

}  // namespace ponder::kernels

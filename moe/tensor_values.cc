#include "moe/tensor_values.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "moe/kernels/float_formats.h"

namespace ponder::moe {
namespace {

// OCP 8-bit floating point, E4M3: bias 7, no infinity, NaN where all bits but the sign are set.
float FromE4M3(uint8_t x) {
  const int exponent = x >> 3 & 15;
  const int fraction = x & 7;
  float size = 0;
  if (exponent == 15 && fraction == 7) {
    size = std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    size = std::ldexp(static_cast<float>(fraction), -9);
  } else {
    size = std::ldexp(static_cast<float>(8 + fraction), exponent - 10);
  }
  return (x & 0x80) != 0 ? -size : size;
}

const std::array<float, 256>& E4M3Table() {
  static const std::array<float, 256> table = [] {
    std::array<float, 256> values{};
    for (int i = 0; i < 256; ++i)
      values[static_cast<size_t>(i)] = FromE4M3(static_cast<uint8_t>(i));
    return values;
  }();
  return table;
}

template <typename T>
T LoadAs(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

void CopyScaledE4M3(const TensorSpec& spec, const TensorBytes& from, int64_t first,
                    const uint8_t* bytes, absl::Span<float> out) {
  const std::array<float, 256>& table = E4M3Table();
  const int64_t columns = spec.shape.empty() ? 1 : spec.shape.back();
  const int64_t scale_columns = (columns + from.block_columns - 1) / from.block_columns;
  const int64_t end = first + static_cast<int64_t>(out.size());
  for (int64_t i = first; i < end;) {
    // As far as one scale reaches.
    const int64_t column = i % columns;
    const int64_t at = i / columns / from.block_rows * scale_columns + column / from.block_columns;
    const float scale = LoadAs<float>(from.scales.data() + at * 4);
    const int64_t run =
        std::min({from.block_columns - column % from.block_columns, columns - column, end - i});
    for (const int64_t stop = i + run; i < stop; ++i) {
      out[static_cast<size_t>(i - first)] = table[bytes[i - first]] * scale;
    }
  }
}

}  // namespace

void CopyAsFloats(const TensorSpec& spec, const TensorBytes& from, int64_t first,
                  absl::Span<float> out) {
  const int64_t element = from.is_fp8() ? 1 : DTypeSize(spec.dtype);
  CopyAsFloats(spec, from, first, from.data.data() + first * element, out);
}

void CopyAsFloats(const TensorSpec& spec, const TensorBytes& from, int64_t first,
                  const uint8_t* data, absl::Span<float> out) {
  const size_t element = from.is_fp8() ? 1 : static_cast<size_t>(DTypeSize(spec.dtype));
  PONDER_CHECK(
      first >= 0 && (static_cast<size_t>(first) + out.size()) * element <= from.data.size(),
      spec.name);
  if (from.is_fp8()) return CopyScaledE4M3(spec, from, first, data, out);
  switch (spec.dtype) {
    case DType::kF32:
      if (!out.empty()) std::memcpy(out.data(), data, out.size() * element);
      return;
    case DType::kBF16:
      for (size_t i = 0; i < out.size(); ++i)
        out[i] = kernels::FromBf16(LoadAs<uint16_t>(data + 2 * i));
      return;
    case DType::kF16:
      for (size_t i = 0; i < out.size(); ++i)
        out[i] = kernels::FromF16(LoadAs<uint16_t>(data + 2 * i));
      return;
    case DType::kI64:
      break;
  }
  PONDER_CHECK(false, spec.name, " is not of a float's type");
}

void CopyFromFloats(absl::Span<const float> values, DType dtype, uint8_t* out) {
  if (dtype == DType::kF32) {
    if (!values.empty()) std::memcpy(out, values.data(), values.size() * sizeof(float));
    return;
  }
  PONDER_CHECK(dtype == DType::kBF16 || dtype == DType::kF16, DTypeName(dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t narrow =
        dtype == DType::kBF16 ? kernels::ToBf16(values[i]) : kernels::ToF16(values[i]);
    std::memcpy(out + 2 * i, &narrow, 2);
  }
}

}  // namespace ponder::moe

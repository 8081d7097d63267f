#include "moe/checkpoint_diff.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "moe/checkpoint_files.h"
#include "moe/tensor_values.h"

namespace ponder::moe {
namespace {

std::string TypeText(const SafetensorsTensor& spec) {
  return absl::StrCat(spec.dtype, "[", absl::StrJoin(spec.shape, ","), "]");
}

// Nothing for types that are compared as bytes.
std::optional<std::vector<float>> Floats(const CheckpointFiles::Tensor& tensor) {
  const std::optional<DType> dtype = DTypeNamed(tensor.spec.dtype);
  if (!dtype.has_value() || *dtype == DType::kI64) return std::nullopt;
  TensorSpec spec;
  spec.dtype = *dtype;
  spec.shape = tensor.spec.shape;
  int64_t elements = 1;
  for (const int64_t size : spec.shape) elements *= size;
  std::vector<float> values(static_cast<size_t>(elements));
  TensorBytes bytes;
  bytes.data = tensor.bytes;
  CopyAsFloats(spec, bytes, /*first=*/0, absl::MakeSpan(values));
  return values;
}

void CompareValues(const std::vector<float>& a, const std::vector<float>& b,
                   TensorDifference* difference) {
  double squares = 0, of_a = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    const double apart = a[i] == b[i] ? 0 : std::abs(double{a[i]} - double{b[i]});
    // Once a NaN, it stays one.
    if (!(apart <= difference->max_abs)) difference->max_abs = apart + 0 * difference->max_abs;
    squares += apart * apart;
    of_a += double{a[i]} * double{a[i]};
  }
  difference->values = true;
  difference->relative = squares == 0 ? 0 : std::sqrt(squares / of_a);
}

// Nothing if they are the same.
std::optional<TensorDifference> Compare(const CheckpointFiles::Tensor& a,
                                        const CheckpointFiles::Tensor& b) {
  const std::string type_a = TypeText(a.spec), type_b = TypeText(b.spec);
  if (type_a == type_b && std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin()))
    return std::nullopt;
  TensorDifference difference;
  if (type_a != type_b) difference.what = absl::StrCat(type_a, " and ", type_b);
  if (a.spec.shape != b.spec.shape) return difference;
  const auto values_a = Floats(a), values_b = Floats(b);
  if (values_a.has_value() && values_b.has_value()) {
    CompareValues(*values_a, *values_b, &difference);
  } else if (difference.what.empty()) {
    difference.what = "other bytes";
  }
  return difference;
}

}  // namespace

absl::StatusOr<CheckpointDiff> DiffCheckpoints(const std::string& a, const std::string& b) {
  PONDER_ASSIGN_OR_RETURN(const auto files_a, CheckpointFiles::Open(a));
  PONDER_ASSIGN_OR_RETURN(const auto files_b, CheckpointFiles::Open(b));
  std::set<std::string> names;
  for (const auto& files : {files_a, files_b})
    for (const CheckpointFiles::Tensor& tensor : files->tensors()) names.insert(tensor.spec.name);
  CheckpointDiff diff;
  diff.tensors = static_cast<int64_t>(names.size());
  for (const std::string& name : names) {
    const CheckpointFiles::Tensor* of_a = files_a->Find(name);
    const CheckpointFiles::Tensor* of_b = files_b->Find(name);
    std::optional<TensorDifference> difference;
    if (of_a != nullptr && of_b != nullptr) {
      difference = Compare(*of_a, *of_b);
    } else {
      difference.emplace();
      difference->what = of_b == nullptr ? "only in A" : "only in B";
    }
    if (!difference.has_value()) continue;
    difference->name = name;
    diff.differences.push_back(*std::move(difference));
  }
  return diff;
}

}  // namespace ponder::moe

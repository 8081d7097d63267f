#include "moe/tensor_reader.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "moe/checked_folder.h"
#include "moe/mapped_file.h"
#include "moe/tensor_values.h"

namespace ponder::moe {
namespace {

absl::string_view BytesOf(absl::Span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

TensorReader::TensorReader(const Weights& weights, size_t tensor, int64_t elements, int64_t block)
    : spec_(weights.manifest().tensors[tensor]),
      place_(weights.place(tensor)),
      elements_(elements),
      block_(std::max<int64_t>(block, 1)),
      element_bytes_(place_.is_fp8() ? 1 : DTypeSize(spec_.dtype)),
      in_place_(spec_.dtype == DType::kF32 && !place_.is_fp8() &&
                reinterpret_cast<uintptr_t>(place_.data.data()) % alignof(float) == 0) {
  if (place_.crc32.has_value()) crc32_.resize(static_cast<size_t>(blocks()));
}

absl::StatusOr<TensorReader> TensorReader::Open(const Weights& weights, absl::string_view name,
                                                int64_t elements, int64_t block) {
  PONDER_ASSIGN_OR_RETURN(const size_t tensor, weights.Find(name));
  PONDER_RETURN_IF_ERROR(weights.CheckFloats(tensor, elements));
  return TensorReader(weights, tensor, elements, block);
}

int64_t TensorReader::BlockSize(int64_t i) const {
  return std::min(block_, elements_ - i * block_);
}

const uint8_t* TensorReader::Bytes(int64_t i, uint8_t* out) {
  const auto bytes = place_.data.subspan(static_cast<size_t>(i * block_ * element_bytes_),
                                         static_cast<size_t>(BlockSize(i) * element_bytes_));
  const uint8_t* at = bytes.data();
  if (place_.file != nullptr) {
    static thread_local std::vector<uint8_t> copy;
    if (out == nullptr) {
      copy.resize(bytes.size());
      out = copy.data();
    }
    const absl::Status copied = place_.file->Copy(BytesOf(bytes), reinterpret_cast<char*>(out));
    if (!copied.ok()) Fail(copied);
    at = out;
  }
  if (!crc32_.empty())
    crc32_[static_cast<size_t>(i)] = Crc32({reinterpret_cast<const char*>(at), bytes.size()});
  return at;
}

void TensorReader::Fail(const absl::Status& status) {
  static absl::Mutex mutex(absl::kConstInit);
  absl::MutexLock lock(&mutex);
  failure_.Update(status);
}

const float* TensorReader::Read(int64_t i, float* scratch) {
  if (in_place_ && place_.file == nullptr) {
    return reinterpret_cast<const float*>(Bytes(i, nullptr));
  }
  Copy(i, scratch);
  return scratch;
}

void TensorReader::Copy(int64_t i, float* out) {
  const bool as_it_is = spec_.dtype == DType::kF32 && !place_.is_fp8() && place_.file != nullptr;
  const uint8_t* bytes = Bytes(i, as_it_is ? reinterpret_cast<uint8_t*>(out) : nullptr);
  if (as_it_is) return;
  CopyAsFloats(spec_, place_, i * block_, bytes,
               absl::MakeSpan(out, static_cast<size_t>(BlockSize(i))));
}

absl::Status TensorReader::Finish() {
  PONDER_RETURN_IF_ERROR(failure_);
  if (place_.crc32.has_value()) {
    uint32_t crc = 0;
    for (int64_t i = 0; i < blocks(); ++i) {
      crc = CombineCrc32(crc, crc32_[static_cast<size_t>(i)],
                         static_cast<uint64_t>(BlockSize(i) * element_bytes_));
    }
    if (crc != *place_.crc32) {
      return FolderChecksums::Damaged(place_.what(), place_.data.size(), crc, *place_.crc32);
    }
  }
  if (!place_.scales_crc32.has_value()) return absl::OkStatus();
  return FolderChecksums::CheckBytes(BytesOf(place_.scales), *place_.scales_crc32,
                                     absl::StrCat("the scales of ", place_.what()));
}

}  // namespace ponder::moe

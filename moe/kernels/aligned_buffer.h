// AlignedBuffer: floats on a 64-byte boundary, zeroed when grown; what lies behind them up to the next
// boundary may be written to as well. A value; movable, not copyable; its memory is its own, or an arena's.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <utility>

#include "base/check.h"
#include "moe/kernels/arena.h"

namespace ponder::kernels {

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(int64_t size) { Resize(size); }
  // In `arena`, which outlives it.
  AlignedBuffer(int64_t size, Arena* arena)
      : data_(arena->Allocate(size)), size_(size), capacity_(size) {}
  ~AlignedBuffer() { std::free(memory_); }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }

  // Contents are lost, and zero, when it grows past its capacity; else kept.
  void Resize(int64_t size) {
    if (size > capacity_) {
      std::free(memory_);  // null where it was an arena's
      // calloc, as the system's fresh pages are zero already: touching them twice would cost more than
      // the arithmetic on a short sequence's keys.
      const size_t used = static_cast<size_t>(size) * sizeof(float);
      const size_t bytes = (used + kAlignment - 1) / kAlignment * kAlignment + kAlignment;
      memory_ = std::calloc(1, bytes);
      PONDER_CHECK(memory_ != nullptr, "out of memory for ", bytes, " bytes");
      const uintptr_t address = reinterpret_cast<uintptr_t>(memory_) + kAlignment - 1;
      data_ = reinterpret_cast<float*>(address / kAlignment * kAlignment);
      capacity_ = size;
    }
    size_ = size;
  }

  float* data() { return data_; }
  const float* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  static constexpr size_t kAlignment = 64;

  void* memory_ = nullptr;
  float* data_ = nullptr;
  int64_t size_ = 0;
  int64_t capacity_ = 0;
};

}  // namespace ponder::kernels

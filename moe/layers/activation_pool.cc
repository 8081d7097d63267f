// See activation_pool.h.
#include "moe/layers/activation_pool.h"

#include <ATen/ATen.h>

#include <cstring>
#include <iterator>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "moe/kernels/aligned_buffer.h"

namespace ponder::moe {

using kernels::AlignedBuffer;

// Memory that no tensor uses now.
class ActivationPool::Idle {
 public:
  // At least `size` floats, and not more than twice as many where idle memory serves. A new buffer
  // takes the place of the largest idle one that is too small, so that the total follows the need.
  AlignedBuffer Take(int64_t size) {
    AlignedBuffer too_small;  // freed outside the lock
    {
      absl::MutexLock lock(&mutex_);
      const auto fit = buffers_.lower_bound(size);
      if (fit != buffers_.end() && fit->first <= 2 * size) {
        AlignedBuffer found = std::move(fit->second);
        buffers_.erase(fit);
        return found;
      }
      if (fit != buffers_.begin()) {
        too_small = std::move(std::prev(fit)->second);
        buffers_.erase(std::prev(fit));
      }
    }
    return AlignedBuffer(size);
  }

  void PutBack(AlignedBuffer buffer) {
    absl::MutexLock lock(&mutex_);
    const int64_t size = buffer.size();
    buffers_.emplace(size, std::move(buffer));
  }

 private:
  absl::Mutex mutex_;
  std::multimap<int64_t, AlignedBuffer> buffers_ ABSL_GUARDED_BY(mutex_);  // by size
};

ActivationPool::ActivationPool() : idle_(std::make_shared<Idle>()) {}

at::Tensor ActivationPool::New(at::IntArrayRef shape) {
  int64_t size = 1;
  for (int64_t extent : shape) size *= extent;
  if (size == 0) return at::empty(shape, at::kFloat);
  auto buffer = std::make_shared<AlignedBuffer>(idle_->Take(size));
  float* data = buffer->data();
  return at::from_blob(
      data, shape,
      [idle = idle_, buffer = std::move(buffer)](void*) { idle->PutBack(std::move(*buffer)); },
      at::kFloat);
}

at::Tensor ActivationPool::Zeros(at::IntArrayRef shape) {
  at::Tensor zeros = New(shape);
  if (zeros.numel() > 0) std::memset(zeros.data_ptr<float>(), 0, zeros.nbytes());
  return zeros;
}

}  // namespace ponder::moe

#include "verifier/sandbox/shared_arena.h"

#include <sys/mman.h>

#include <cerrno>

#include "base/atomic_file.h"
#include "base/status.h"

namespace ponder::verifier {
namespace {

constexpr size_t kKeptBytes = 1 << 20;

}  // namespace

SharedArena::~SharedArena() {
  if (memory_ != nullptr) munmap(memory_, bytes_);
}

absl::Status SharedArena::Map(size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return ErrnoStatus(errno, "can't map a jail's plan");
  memory_ = static_cast<char*>(memory);
  bytes_ = bytes;
  return absl::OkStatus();
}

void SharedArena::Clear() {
  if (used_ > kKeptBytes) madvise(memory_ + kKeptBytes, bytes_ - kKeptBytes, MADV_REMOVE);
  used_ = 0;
}

void* SharedArena::Allocate(size_t bytes) {
  constexpr size_t kAlignment = alignof(std::max_align_t);
  const size_t from = (used_ + kAlignment - 1) / kAlignment * kAlignment;
  if (from > bytes_ || bytes > bytes_ - from) return nullptr;
  used_ = from + bytes;
  return memory_ + from;
}

char* SharedArena::CopyText(absl::string_view text) {
  char* const to = static_cast<char*>(Allocate(text.size() + 1));
  if (to == nullptr) return nullptr;
  memcpy(to, text.data(), text.size());
  to[text.size()] = 0;
  return to;
}

}  // namespace ponder::verifier

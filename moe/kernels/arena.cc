#include "moe/kernels/arena.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"

namespace ponder::kernels {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;
// Address space alone: what is not touched takes no memory.
constexpr size_t kRegion = size_t{64} << 20;

size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// `bytes`, a multiple of a huge page, on the boundary of one.
char* Map(size_t bytes) {
  void* memory = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  PONDER_CHECK(memory != MAP_FAILED, "out of memory for ", bytes, " bytes");
  char* const mapped = static_cast<char*>(memory);
  char* const begin =
      reinterpret_cast<char*>(RoundUp(reinterpret_cast<uintptr_t>(mapped), kHugePage));
  const size_t before = static_cast<size_t>(begin - mapped);
  if (before > 0) munmap(mapped, before);
  if (before < kHugePage) munmap(begin + bytes, kHugePage - before);
  // A system without them has small pages, which are right too.
  madvise(begin, bytes, MADV_HUGEPAGE);
  return begin;
}

}  // namespace

Arena::~Arena() {
  for (const Region& region : regions_) munmap(region.begin, region.bytes);
}

float* Arena::Allocate(int64_t size) {
  const size_t bytes = RoundUp(static_cast<size_t>(size) * sizeof(float), kAlignment);
  if (regions_.empty() || regions_.back().bytes - used_ < bytes) {
    const size_t region = RoundUp(std::max(bytes, kRegion), kHugePage);
    regions_.push_back({Map(region), region});
    used_ = 0;
  }
  char* const memory = regions_.back().begin + used_;
  used_ += bytes;
  return reinterpret_cast<float*>(memory);
}

}  // namespace ponder::kernels

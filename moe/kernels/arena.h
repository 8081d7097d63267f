// Arena: zeroed memory for what lives and dies together, such as the weights of a version, out of
// large regions that the system may back with huge pages: filling memory that comes in pages of 4
// kB takes longer than computing what fills it. A machine; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ponder::kernels {

class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Floats on a 64-byte boundary, until the arena ends; what lies behind them up to the next
  // boundary may be written to as well. Crashes when memory runs out.
  float* Allocate(int64_t size);

 private:
  struct Region {
    char* begin;
    size_t bytes;
  };
  std::vector<Region> regions_;
  size_t used_ = 0;  // of the last region
};

}  // namespace ponder::kernels

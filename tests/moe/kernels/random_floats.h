// Random inputs for kernel tests, and comparisons of rows by their bits.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace ponder::kernels {

// Uniform in [-1, 1).
inline std::vector<float> RandomFloats(int64_t n, uint32_t seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> out(n);
  for (float& x : out) x = uniform(generator);
  return out;
}

inline bool SameBits(const float* a, const float* b, int64_t n) {
  return n == 0 || std::memcmp(a, b, n * sizeof(float)) == 0;
}

}  // namespace ponder::kernels

// Philox4x32-10 (Salmon et al., SC 2011): a counter-based random generator. Each draw is a pure function of (key, counter):
// no state, so that a sampled token depends on nothing but the run's seed, its prompt, its sample and its position.
#pragma once

#include <array>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace ponder {

// Four 32-bit draws for one counter value.
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// 64-bit FNV-1a; stable across machines and releases.
uint64_t StableHash(absl::string_view text);

// The stream of random numbers of one sample. Value type.
class SampleRng {
 public:
  // Keyed by (run seed, prompt id, sample index): promise 1 of ARCHITECTURE.md.
  SampleRng(uint64_t run_seed, absl::string_view prompt_id, int64_t sample_index);
  // Uniform in [0, 1), 24 bits, for the token at `position` of the response.
  float Uniform(int64_t position) const;

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 2> counter_high_;
};

// A named, reproducible sequence for everything else (weight init, shuffling, task generation). Not thread-safe.
class Rng {
 public:
  Rng(uint64_t run_seed, absl::string_view stream_name);
  uint32_t NextU32();
  uint64_t NextU64();
  double NextUniform();                 // [0, 1), 53 bits
  double NextGaussian();                // mean 0, variance 1
  int64_t NextInt(int64_t lo, int64_t hi);  // uniform in [lo, hi], without modulo bias

 private:
  std::array<uint32_t, 2> key_;
  uint64_t block_ = 0;
  std::array<uint32_t, 4> buffer_{};
  int used_ = 4;
};

}  // namespace ponder

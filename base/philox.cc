#include "base/philox.h"

#include <cmath>

#include "base/check.h"

namespace ponder {

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  constexpr uint32_t kM0 = 0xD2511F53, kM1 = 0xCD9E8D57, kW0 = 0x9E3779B9, kW1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{kM0} * c[0];
    const uint64_t p1 = uint64_t{kM1} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k[0] += kW0;
    k[1] += kW1;
  }
  return c;
}

uint64_t StableHash(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (unsigned char byte : text) {
    hash ^= byte;
    hash *= 0x100000001b3ull;
  }
  return hash;
}

SampleRng::SampleRng(uint64_t run_seed, absl::string_view prompt_id, int64_t sample_index) {
  const uint64_t prompt = StableHash(prompt_id);
  // The prompt and the seed make the key; the sample index the high half of the counter.
  const auto mixed = Philox4x32({static_cast<uint32_t>(prompt), static_cast<uint32_t>(prompt >> 32),
                                 0x706f6e64u, 0x65720000u},
                                {static_cast<uint32_t>(run_seed), static_cast<uint32_t>(run_seed >> 32)});
  key_ = {mixed[0], mixed[1]};
  counter_high_ = {static_cast<uint32_t>(sample_index), static_cast<uint32_t>(sample_index >> 32)};
}

float SampleRng::Uniform(int64_t position) const {
  const auto draw = Philox4x32({static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32),
                                counter_high_[0], counter_high_[1]},
                               key_);
  return static_cast<float>(draw[0] >> 8) * 0x1p-24f;
}

Rng::Rng(uint64_t run_seed, absl::string_view stream_name) {
  const uint64_t name = StableHash(stream_name);
  const auto mixed = Philox4x32({static_cast<uint32_t>(name), static_cast<uint32_t>(name >> 32),
                                 0x73747265u, 0x616d0000u},
                                {static_cast<uint32_t>(run_seed), static_cast<uint32_t>(run_seed >> 32)});
  key_ = {mixed[0], mixed[1]};
}

uint32_t Rng::NextU32() {
  if (used_ == 4) {
    buffer_ = Philox4x32({static_cast<uint32_t>(block_), static_cast<uint32_t>(block_ >> 32), 0, 0}, key_);
    ++block_;
    used_ = 0;
  }
  return buffer_[used_++];
}

uint64_t Rng::NextU64() {
  const uint64_t high = NextU32();
  return high << 32 | NextU32();
}

double Rng::NextUniform() { return static_cast<double>(NextU64() >> 11) * 0x1p-53; }

double Rng::NextGaussian() {
  // Box-Muller; 1 - u is in (0, 1].
  const double radius = std::sqrt(-2 * std::log(1 - NextUniform()));
  return radius * std::cos(2 * M_PI * NextUniform());
}

int64_t Rng::NextInt(int64_t lo, int64_t hi) {
  PONDER_CHECK(lo <= hi, "empty range ", lo, "..", hi);
  const uint64_t range = static_cast<uint64_t>(hi) - static_cast<uint64_t>(lo) + 1;
  if (range == 0) return static_cast<int64_t>(NextU64());
  const uint64_t limit = UINT64_MAX - UINT64_MAX % range;
  uint64_t draw = NextU64();
  while (draw >= limit) draw = NextU64();
  return lo + static_cast<int64_t>(draw % range);
}

}  // namespace ponder

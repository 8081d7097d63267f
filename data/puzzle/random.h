// Random choices for the puzzle generators; the same on every machine, unlike those of <random>.
#pragma once

#include <numeric>
#include <utility>
#include <vector>

#include "base/philox.h"

namespace ponder::data::puzzle {

inline int Draw(Rng& rng, int lo, int hi) { return static_cast<int>(rng.NextInt(lo, hi)); }
inline bool Chance(Rng& rng, int percent) { return Draw(rng, 0, 99) < percent; }

template <typename T>
void Shuffle(std::vector<T>& list, Rng& rng) {
  for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[rng.NextInt(0, i - 1)]);
}

template <typename T>
const T& Pick(const std::vector<T>& list, Rng& rng) {
  return list[rng.NextInt(0, list.size() - 1)];
}

// 0 to n - 1, shuffled.
inline std::vector<int> Permutation(int n, Rng& rng) {
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  Shuffle(order, rng);
  return order;
}

// Goes from `lo` at level 1 to `hi` at level 10.
inline int Scale(int level, int lo, int hi) { return lo + (hi - lo) * (level - 1) / 9; }

}  // namespace ponder::data::puzzle

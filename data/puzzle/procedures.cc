#include "data/puzzle/procedures.h"

#include <algorithm>

namespace ponder::data::puzzle {

std::vector<std::string> Sorted(std::vector<std::string> words, bool backwards) {
  std::sort(words.begin(), words.end());
  if (backwards) std::reverse(words.begin(), words.end());
  return words;
}

std::vector<int> CountLetters(const std::vector<std::string>& words, absl::string_view letters) {
  std::vector<int> counts;
  for (const char letter : letters) {
    counts.push_back(0);
    for (const std::string& word : words) {
      counts.back() += static_cast<int>(std::count(word.begin(), word.end(), letter));
    }
  }
  return counts;
}

std::vector<std::string> Exchanged(std::vector<std::string> held, const std::vector<int>& pairs) {
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) std::swap(held[pairs[i]], held[pairs[i + 1]]);
  return held;
}

std::vector<int> Generations(std::vector<int> alive, int cols, int steps) {
  const int rows = static_cast<int>(alive.size()) / cols;
  for (; steps > 0; --steps) {
    std::vector<int> next(alive.size());
    for (int row = 0; row < rows; ++row) {
      for (int col = 0; col < cols; ++col) {
        int around = 0;
        for (int r = std::max(0, row - 1); r <= std::min(rows - 1, row + 1); ++r) {
          for (int c = std::max(0, col - 1); c <= std::min(cols - 1, col + 1); ++c) {
            around += alive[r * cols + c];
          }
        }
        const int self = alive[row * cols + col];
        next[row * cols + col] = around == 3 || (self == 1 && around == 4);
      }
    }
    alive = next;
  }
  return alive;
}

}  // namespace ponder::data::puzzle

// The clues of zebra puzzles: where the owners of things live.
#pragma once

#include <vector>

namespace ponder::data::puzzle {

enum class ClueKind {
  kSame = 0,     // a and b belong to the same house
  kApart = 1,    // they don't
  kLeft = 2,     // a's house is the one directly left of b's
  kBeside = 3,   // they are next to each other
  kFarLeft = 4,  // a's house is somewhere left of b's
  kAt = 5,       // a's house is the b-th, from 0
};
constexpr int kClueKinds = 6;

// A value. `a` and `b` are things, but for kAt.
struct Clue {
  ClueKind kind;
  int a, b;
};

// `house` has each thing's house, from 0.
inline bool Holds(const Clue& clue, const std::vector<int>& house) {
  const int a = house[clue.a];
  if (clue.kind == ClueKind::kAt) return a == clue.b;
  const int b = house[clue.b];
  switch (clue.kind) {
    case ClueKind::kSame:
      return a == b;
    case ClueKind::kApart:
      return a != b;
    case ClueKind::kLeft:
      return a + 1 == b;
    case ClueKind::kBeside:
      return a + 1 == b || b + 1 == a;
    default:
      return a < b;
  }
}

}  // namespace ponder::data::puzzle

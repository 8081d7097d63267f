// The Tower of Hanoi, from any legal position.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {
namespace {

// The unique shortest way of the `disks` smallest disks to `peg`.
void Gather(std::vector<int>& pegs, int disks, int peg, std::vector<std::string>& moves) {
  if (disks == 0) return;
  int& at = pegs[disks - 1];
  if (at != peg) {
    Gather(pegs, disks - 1, 3 - at - peg, moves);
    moves.push_back({static_cast<char>('A' + at), static_cast<char>('A' + peg)});
    at = peg;
  }
  Gather(pegs, disks - 1, peg, moves);
}

}  // namespace

Puzzle MakeHanoi(Rng& rng, int level) {
  const int disks = Scale(level, 2, 7);
  const bool tight = level > 5;
  std::vector<int> pegs(disks);  // of each disk, the smallest first
  do {
    for (int& peg : pegs) peg = Draw(rng, 0, 2);
  } while (std::all_of(pegs.begin(), pegs.end(), [](int peg) { return peg == 2; }));
  std::vector<int> position = pegs;
  std::vector<std::string> moves;
  Gather(position, disks, 2, moves);
  const int most = static_cast<int>(moves.size()) * (tight ? 1 : 2);
  std::string shown;
  for (int peg = 0; peg < 3; ++peg) {
    std::vector<int> stack;
    for (int disk = disks; disk-- > 0;) {
      if (pegs[disk] == peg) stack.push_back(disk + 1);
    }
    absl::StrAppend(&shown, std::string(1, static_cast<char>('A' + peg)), ": ",
                    stack.empty() ? "empty" : absl::StrJoin(stack, " "), "\n");
  }
  Puzzle puzzle;
  puzzle.instance.Set("pegs", pegs);
  puzzle.instance.Set("max_moves", most);
  puzzle.question = absl::StrCat(
      "Disks lie on three pegs, written from the bottom to the top; a larger number is a larger "
      "disk.\n\n",
      shown,
      "\nA move takes the top disk of one peg to another peg, never onto a smaller disk. "
      "Bring all disks to peg C in at most ",
      most,
      " moves.\nAnswer with the moves, for example AB BC for the top disk of A to B and then that "
      "of B to C.");
  puzzle.solution = absl::StrJoin(moves, " ");
  return puzzle;
}

}  // namespace ponder::data::puzzle

// Zebra (Einstein) puzzles: houses in a row, clues, one solution.
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/random.h"
#include "data/puzzle/zebra_clue.h"

namespace ponder::data::puzzle {
namespace {

constexpr int kMost = 6;  // houses, and kinds of things
constexpr const char* kThings[kMost][kMost + 1] = {
    {"name", "alice", "bruno", "clara", "david", "elena", "felix"},
    {"colour", "red", "blue", "green", "white", "yellow", "black"},
    {"pet", "cat", "dog", "horse", "parrot", "snail", "zebra"},
    {"drink", "tea", "coffee", "milk", "juice", "water", "cocoa"},
    {"job", "baker", "doctor", "farmer", "lawyer", "painter", "pilot"},
    {"sport", "chess", "golf", "judo", "rowing", "skiing", "tennis"},
};

using Domains = std::vector<uint32_t>;  // which houses each thing may belong to

// Narrows until nothing changes; false: a thing has no house left.
bool Propagate(Domains& domains, const std::vector<Clue>& clues, int n) {
  for (bool changed = true; changed;) {
    const Domains before = domains;
    for (const Clue& clue : clues) {
      uint32_t& a = domains[clue.a];
      if (clue.kind == ClueKind::kAt) {
        a &= 1u << clue.b;
        continue;
      }
      uint32_t& b = domains[clue.b];
      const auto single = [](uint32_t mask) { return (mask & (mask - 1)) == 0; };
      if (clue.kind == ClueKind::kSame) a = b = a & b;
      if (clue.kind == ClueKind::kApart && single(a)) b &= ~a;
      if (clue.kind == ClueKind::kApart && single(b)) a &= ~b;
      if (clue.kind == ClueKind::kLeft) a &= b >> 1, b &= a << 1;
      if (clue.kind == ClueKind::kBeside) a &= b << 1 | b >> 1, b &= a << 1 | a >> 1;
      if (clue.kind == ClueKind::kFarLeft) {
        if (a == 0 || b == 0) return false;
        a &= (1u << (31 - __builtin_clz(b))) - 1;
        if (a != 0) b &= ~((a & -a) * 2 - 1);
      }
      if (a == 0 || b == 0) return false;
    }
    for (size_t thing = 0; thing < domains.size(); ++thing) {
      const uint32_t mask = domains[thing];
      if (mask == 0) return false;
      if ((mask & (mask - 1)) != 0) continue;
      for (size_t other = thing / n * n; other < thing / n * n + n; ++other) {
        if (other != thing) domains[other] &= ~mask;
      }
    }
    changed = before != domains;
  }
  return true;
}

// Up to 2; 2 when over budget.
int CountSolutions(Domains domains, const std::vector<Clue>& clues, int n, int& budget) {
  if (!Propagate(domains, clues, n)) return 0;
  int thing = -1, fewest = 33;
  for (size_t i = 0; i < domains.size(); ++i) {
    const int count = __builtin_popcount(domains[i]);
    if (count > 1 && count < fewest) fewest = count, thing = static_cast<int>(i);
  }
  if (thing < 0) return 1;
  int found = 0;
  for (int house = 0; house < n && found < 2; ++house) {
    if ((domains[thing] >> house & 1) == 0) continue;
    if (--budget < 0) return 2;
    Domains guess = domains;
    guess[thing] = 1u << house;
    found += CountSolutions(guess, clues, n, budget);
  }
  return found;
}

bool HasOneSolution(const std::vector<Clue>& clues, int n, int kinds) {
  int budget = 300;
  return CountSolutions(Domains(n * kinds, (1u << n) - 1), clues, n, budget) == 1;
}

std::string Say(const Clue& clue, int n) {
  const auto owner = [n](int thing) {
    return absl::StrCat("the one with ", kThings[thing / n][0], " ",
                        kThings[thing / n][thing % n + 1]);
  };
  const std::string a = owner(clue.a);
  if (clue.kind == ClueKind::kAt) return absl::StrCat(a, " lives in house ", clue.b + 1);
  constexpr const char* kSays[] = {" is ", " is not ", " lives directly to the left of ",
                                   " lives next to ", " lives somewhere to the left of "};
  return absl::StrCat(a, kSays[static_cast<int>(clue.kind)], owner(clue.b));
}

}  // namespace

Puzzle MakeZebra(Rng& rng, int level) {
  const int n = level <= 3 ? 3 : level <= 6 ? 4 : level <= 9 ? 5 : 6;
  const int kinds = Scale(level, 2, 6), things = n * kinds;
  std::vector<int> house;
  for (int kind = 0; kind < kinds; ++kind) {
    for (const int at : Permutation(n, rng)) house.push_back(at);
  }
  // Random true clues until there is one solution, then without those that aren't needed.
  std::vector<Clue> clues;
  while (!HasOneSolution(clues, n, kinds)) {
    for (int batch = 0; batch < 4; ++batch) {
      const auto kind = static_cast<ClueKind>(Draw(rng, 0, kClueKinds - 1));
      const int a = Draw(rng, 0, things - 1);
      const bool at = kind == ClueKind::kAt;
      const Clue clue{kind, a, at ? house[a] : Draw(rng, 0, things - 1)};
      const bool dull =
          !at && (clue.a == clue.b || (clue.a / n == clue.b / n && kind <= ClueKind::kApart));
      if (!dull && Holds(clue, house)) clues.push_back(clue);
    }
  }
  for (size_t i = clues.size(); i-- > 0;) {
    std::vector<Clue> fewer = clues;
    fewer.erase(fewer.begin() + i);
    if (HasOneSolution(fewer, n, kinds)) clues = fewer;
  }
  std::vector<std::string> words;
  for (int thing = 0; thing < things; ++thing) words.push_back(kThings[thing / n][thing % n + 1]);
  std::vector<int> flat;
  std::string said, solution;
  for (const Clue& clue : clues) {
    flat.insert(flat.end(), {static_cast<int>(clue.kind), clue.a, clue.b});
    absl::StrAppend(&said, "- ", Say(clue, n), "\n");
  }
  for (int at = 0; at < n; ++at) {
    std::vector<std::string> inside;
    for (int thing = 0; thing < things; ++thing) {
      if (house[thing] == at) inside.push_back(words[thing]);
    }
    absl::StrAppend(&solution, at + 1, ": ", absl::StrJoin(inside, ", "), at + 1 < n ? "\n" : "");
  }
  Puzzle puzzle;
  puzzle.instance.Set("houses", n);
  puzzle.instance.Set("words", words);
  puzzle.instance.Set("clues", flat);
  puzzle.question = absl::StrCat(
      n, " people live in ", n, " houses in a row, numbered from left to right. They differ in:\n");
  for (int kind = 0; kind < kinds; ++kind) {
    absl::StrAppend(&puzzle.question, kThings[kind][0], ": ",
                    absl::StrJoin(words.begin() + kind * n, words.begin() + (kind + 1) * n, ", "),
                    "\n");
  }
  absl::StrAppend(&puzzle.question, "\nClues:\n", said,
                  "\nAnswer with a line for each house: its number, a colon, and its words "
                  "separated by commas, for example 1: ",
                  words[0], ", ", words[n], ".");
  puzzle.solution = solution;
  return puzzle;
}

}  // namespace ponder::data::puzzle

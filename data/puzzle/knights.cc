// Knights, who always tell the truth, and knaves, who always lie.
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/formula.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {
namespace {

constexpr size_t kMaxStatements = 32;

}  // namespace

Puzzle MakeKnights(Rng& rng, int level) {
  const int people = Scale(level, 2, 8), depth = level <= 3 ? 1 : level <= 7 ? 2 : 3;
  const uint32_t truth = static_cast<uint32_t>(Draw(rng, 0, (1 << people) - 1));
  std::vector<int> speakers;
  std::vector<std::string> statements;
  std::vector<uint32_t> models;
  for (uint32_t model = 0; model >> people == 0; ++model) models.push_back(model);
  std::vector<int> order = Permutation(people, rng);
  // Everybody says something; then more is said until only the truth is left.
  while (static_cast<int>(speakers.size()) < people ||
         (models.size() > 1 && speakers.size() < kMaxStatements)) {
    const int speaker = order[speakers.size() % people];
    std::string statement = RandomFormula(Draw(rng, 1, depth), people, rng);
    if (*Evaluate(statement, truth) != (truth >> speaker & 1)) {
      statement = absl::StrCat("(not ", statement, ")");
    }
    std::vector<uint32_t> left;
    for (const uint32_t model : models) {
      if (*Evaluate(statement, model) == (model >> speaker & 1)) left.push_back(model);
    }
    models = left;
    speakers.push_back(speaker);
    statements.push_back(statement);
  }
  std::string said;
  std::vector<std::string> solution;
  for (size_t i = 0; i < speakers.size(); ++i) {
    absl::StrAppend(&said, std::string(1, static_cast<char>('A' + speakers[i])),
                    " says: ", statements[i], "\n");
  }
  for (int person = 0; person < people; ++person) {
    solution.push_back(absl::StrCat(std::string(1, static_cast<char>('A' + person)), ": ",
                                    truth >> person & 1 ? "knight" : "knave"));
  }
  Puzzle puzzle;
  puzzle.instance.Set("people", people);
  puzzle.instance.Set("speakers", speakers);
  puzzle.instance.Set("statements", statements);
  puzzle.question = absl::StrCat(
      "On an island everybody is a knight, whose statements are all true, or a knave, whose "
      "statements are all false. You meet ",
      people, " people, called by the first ", people,
      " letters of the alphabet. In what they say a letter stands for 'that person is a knight' "
      "(iff: both or neither; xor: exactly one; f implies g: not f, or g).\n\n",
      said, "\nWho is what? Answer with everybody, for example A: knight, B: knave.");
  puzzle.solution = absl::StrJoin(solution, ", ");
  return puzzle;
}

}  // namespace ponder::data::puzzle

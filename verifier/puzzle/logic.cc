// Knights and knaves, zebra puzzles, formulas, minesweeper.
#include <cstdint>
#include <map>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "data/puzzle/formula.h"
#include "data/puzzle/mines.h"
#include "data/puzzle/zebra_clue.h"
#include "verifier/puzzle/answer_reader.h"
#include "verifier/puzzle/checkers.h"

namespace ponder::verifier::puzzle {
namespace {

// "A: knight, B is a knave" as 'A' -> true, 'B' -> false. nullopt: anything else, or a person
// twice.
std::optional<std::map<char, bool>> ReadRoles(absl::string_view answer) {
  std::map<char, bool> roles;
  char name = 0;
  for (const std::string& word : ReadWords(answer)) {
    const std::string lower = absl::AsciiStrToLower(word);
    if (lower == "knight" || lower == "knave") {
      if (name == 0 || !roles.emplace(name, lower == "knight").second) return std::nullopt;
      name = 0;
    } else if (word.size() == 1 && absl::ascii_isupper(word[0])) {
      if (name != 0) return std::nullopt;
      name = word[0];
    } else if (word != "is" && word != "a" && word != "and") {
      return std::nullopt;
    }
  }
  return name == 0 ? std::optional(roles) : std::nullopt;
}

}  // namespace

Finding CheckKnights(InstanceReader& in, absl::string_view answer) {
  const int people = in.Int("people", 1, 20);
  const std::vector<std::string> statements = in.Texts("statements", 1, 256);
  const std::vector<int> speakers = in.Ints("speakers", statements.size(), 0, people - 1);
  for (const std::string& statement : statements) {
    if (!data::puzzle::Evaluate(statement, 0)) in.Fail("a statement is no formula");
  }
  if (!in.ok()) return BadInstance(in);
  const std::optional<std::map<char, bool>> roles = ReadRoles(answer);
  if (!roles) return Unreadable("knight or knave for each person once, like A: knight, B: knave");
  if (static_cast<int>(roles->size()) != people) return Wrong("not everybody has a role");
  uint32_t truth = 0;
  for (const auto& [name, knight] : *roles) {
    if (name - 'A' >= people) return Wrong("there is no such person");
    if (knight) truth |= uint32_t{1} << (name - 'A');
  }
  for (size_t i = 0; i < statements.size(); ++i) {
    const bool knight = (truth >> speakers[i] & 1) != 0;
    if (*data::puzzle::Evaluate(statements[i], truth) != knight)
      return Wrong(absl::StrCat("what ", std::string(1, static_cast<char>('A' + speakers[i])),
                                " says doesn't fit"));
  }
  return Correct();
}

Finding CheckZebra(InstanceReader& in, absl::string_view answer) {
  using data::puzzle::Clue;
  using data::puzzle::ClueKind;
  const int n = in.Int("houses", 1, 16);
  const std::vector<std::string> words = in.Texts("words", n, 16 * n);
  const int things = static_cast<int>(words.size());
  const std::vector<int> flat = in.Ints("clues", 0, 3000, 0, things - 1 + data::puzzle::kClueKinds);
  std::vector<Clue> clues;
  for (size_t i = 0; i + 2 < flat.size(); i += 3) {
    clues.push_back({static_cast<ClueKind>(flat[i]), flat[i + 1], flat[i + 2]});
    const int most_b = clues.back().kind == ClueKind::kAt ? n : things;
    if (flat[i] >= data::puzzle::kClueKinds || flat[i + 1] >= things || flat[i + 2] >= most_b)
      in.Fail("a clue is out of range");
  }
  if (things % n != 0 || flat.size() % 3 != 0) in.Fail("words or clues are missing");
  std::map<std::string, int> thing_of;
  for (int thing = 0; thing < things; ++thing) {
    if (!thing_of.emplace(words[thing], thing).second) in.Fail("a word occurs twice");
  }
  if (!in.ok()) return BadInstance(in);

  std::vector<int> house(things, -1);
  std::vector<int> inside(things);  // by house and kind of thing
  for (const absl::string_view line : absl::StrSplit(answer, '\n')) {
    int at = 0;
    for (const std::string& cased : ReadWords(line)) {
      const std::string word = absl::AsciiStrToLower(cased);
      if (at == 0) {
        if (word == "house") continue;
        if (!absl::SimpleAtoi(word, &at) || at < 1 || at > n)
          return Unreadable("lines that start with the number of a house");
        continue;
      }
      const auto thing = thing_of.find(word);
      if (thing == thing_of.end()) return Unreadable("only words of the puzzle");
      if (house[thing->second] >= 0) return Wrong(absl::StrCat(word, " occurs twice"));
      house[thing->second] = at - 1;
      if (++inside[(at - 1) * (things / n) + thing->second / n] > 1)
        return Wrong(absl::StrCat("house ", at, " has two of a kind"));
    }
  }
  for (int thing = 0; thing < things; ++thing) {
    if (house[thing] < 0) return Wrong(absl::StrCat(words[thing], " is missing"));
  }
  for (size_t i = 0; i < clues.size(); ++i) {
    if (!Holds(clues[i], house)) return Wrong(absl::StrCat("clue ", i + 1, " doesn't hold"));
  }
  return Correct();
}

Finding CheckBoolean(InstanceReader& in, absl::string_view answer) {
  const std::vector<std::string> formulas = in.Texts("formulas", 1, 64);
  for (const std::string& formula : formulas) {
    if (!data::puzzle::Evaluate(formula, 0)) in.Fail("no formula");
  }
  if (!in.ok()) return BadInstance(in);
  std::vector<bool> values;
  for (const std::string& word : ReadWords(absl::AsciiStrToLower(answer))) {
    if (word != "true" && word != "false") return Unreadable("only the words True and False");
    values.push_back(word == "true");
  }
  if (values.size() != formulas.size())
    return Unreadable(absl::StrCat(formulas.size(), " truth values"));
  for (size_t i = 0; i < formulas.size(); ++i) {
    if (*data::puzzle::Evaluate(formulas[i], 0) != values[i])
      return Wrong(absl::StrCat("formula ", i + 1, " has the other value"));
  }
  return Correct();
}

Finding CheckMinesweeper(InstanceReader& in, absl::string_view answer) {
  data::puzzle::MineField field;
  field.rows = in.Int("rows", 1, 16);
  field.cols = in.Int("cols", 1, 16);
  field.shown = in.Ints("shown", field.rows * field.cols, data::puzzle::kHidden, 8);
  if (!in.ok()) return BadInstance(in);
  std::vector<int> mines;
  switch (data::puzzle::ForcedMines(field, &mines)) {
    case data::puzzle::MineProof::kContradiction:
      in.Fail("no board fits the numbers");
      return BadInstance(in);
    case data::puzzle::MineProof::kOverBudget:
      return {Verdict::Outcome::kTimeout, "what the numbers prove took too long to find out"};
    case data::puzzle::MineProof::kProven:
      break;
  }
  const bool none = absl::AsciiStrToLower(absl::StripAsciiWhitespace(answer)) == "none";
  const std::optional<std::vector<int>> numbers = none ? std::vector<int>() : ReadNumbers(answer);
  if (!numbers || numbers->size() % 2 != 0 || (numbers->empty() && !none))
    return Unreadable("fields like (1,2) (3,4), or none");
  std::vector<bool> named(field.shown.size());
  for (size_t i = 0; i < numbers->size(); i += 2) {
    const int row = (*numbers)[i], col = (*numbers)[i + 1];
    if (row < 1 || row > field.rows || col < 1 || col > field.cols)
      return Wrong(absl::StrCat("there is no field (", row, ",", col, ")"));
    named[(row - 1) * field.cols + col - 1] = true;
  }
  for (const int mine : mines) {
    if (!named[mine]) return Wrong("a mine that is certain is missing");
    named[mine] = false;
  }
  for (size_t cell = 0; cell < named.size(); ++cell) {
    if (named[cell])
      return Wrong(absl::StrCat("no certain mine at (", cell / field.cols + 1, ",",
                                cell % field.cols + 1, ")"));
  }
  return Correct();
}

}  // namespace ponder::verifier::puzzle

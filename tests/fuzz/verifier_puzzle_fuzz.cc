// Any bytes as an answer to any puzzle, and as a puzzle: no crash, no hang, and no verdict of an
// error on an instance that we made.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "data/puzzle/generators.h"
#include "verifier/puzzle/puzzle_grader.h"

// The first byte picks the family, the second the level.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  static const auto* const golds = [] {
    auto* made = new std::vector<std::vector<std::string>>;
    for (const auto& generator : ponder::data::puzzle::Generators()) {
      made->emplace_back();
      for (int level = 1; level <= 5; ++level) {
        auto puzzle = ponder::data::puzzle::MakePuzzle(generator.family, level, 1);
        const ponder::data::puzzle::Gold gold{generator.family, puzzle->instance};
        made->back().push_back(gold.ToJson());
      }
    }
    return made;
  }();
  const ponder::verifier::PuzzleGrader grader;
  const auto& levels = (*golds)[data[0] % golds->size()];
  const absl::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string answer = absl::StrCat("<answer>", rest, "</answer>");
  const auto verdict =
      grader.Grade({levels[data[1] % levels.size()], answer}, absl::InfiniteFuture());
  PONDER_CHECK(verdict.outcome != ponder::Verdict::Outcome::kError, verdict.reason);
  // The same bytes as a gold; in front of '\n', with the rest as its answer.
  const size_t cut = rest.find('\n');
  grader.Grade({rest.substr(0, cut), cut == absl::string_view::npos ? "1" : rest.substr(cut)},
               absl::InfiniteFuture());
  return 0;
}

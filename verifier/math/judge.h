// One response judged against one gold.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"
#include "verifier/math/extract.h"
#include "verifier/math/parser.h"

namespace ponder::verifier::math {

constexpr size_t kMaxQuoted = 256;  // bytes of an answer that a verdict repeats

// What was found out. `detail` is as in MathGrader.
struct Finding {
  Verdict::Outcome outcome = Verdict::Outcome::kError;
  absl::string_view detail;
  std::string reason;
};

// An answer, read. Value type; the tree belongs to the judge's arena.
struct Answer {
  std::string text;
  const Node* tree = nullptr;
  ParseFailure failure = ParseFailure::kNone;
};

// A machine for one response and one gold.
class Judge {
 public:
  // `extraction` outlives this.
  explicit Judge(const Extraction& extraction)
      : extraction_(extraction), answer_(Combined(extraction.answers)) {}

  const std::string& answer_text() const { return answer_.text; }
  Finding Against(absl::string_view gold);

 private:
  Finding Compare(const Answer& gold);
  bool SameWithoutLabels(const Answer& gold);
  bool SameInSomeBase(const Node& gold, const Node& answer);
  const Node* WithLogBase(const Node& node, const Node* base);
  Answer ReadOne(absl::string_view text);
  // Several boxes: those that say the same count once; the others are a list.
  Answer Combined(const std::vector<std::string>& texts);
  // The letter that a sentence chooses; 0 if there is none.
  char Chosen() const;

  Arena arena_;
  Budget budget_;
  const Extraction& extraction_;
  const Answer answer_;
};

}  // namespace ponder::verifier::math

// What a judge model is asked, and how its reply is read.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace ponder::verifier {

constexpr size_t kMaxJudged = 512;  // characters of an answer

// One question to the judge, with the answer in a fixed slot. A value.
struct JudgeQuestion {
  std::string question;  // may be empty
  std::string reference;
  std::string answer;
};

// Whether an answer says so little that no model is to be asked: empty, punctuation or markup
// alone, a known opener ("Thought process:", "Solution", ...), or one that speaks to the judge
// instead of answering.
bool SaysNothing(absl::string_view answer);

// Whether a response, its thoughts apart, speaks to the judge: "ignore all previous instructions".
bool PleadsWithTheJudge(absl::string_view text);

// A JSON string literal in which nothing can end the slot, and no chat template's control tokens
// (<|im_end|>, </think>, [INST]) or invisible characters are left.
std::string Fenced(absl::string_view text);

extern const char kJudgeSystemPrompt[];
// `answer_first`: the answer's slot comes before the reference's.
std::string JudgeUserPrompt(const JudgeQuestion& question, bool answer_first);

enum class Ruling { kYes, kNo, kMalformed };
// Strict: after the last </think>, the last line that is not empty is YES or NO and nothing else.
// An unclosed <think> is malformed.
Ruling ReadRuling(absl::string_view reply);

}  // namespace ponder::verifier

// One line of a prompt file: from JSON to a Prompt and back. Three layouts are known by their keys:
//
//   ours    {"id", "prompt": text or [{"role", "content"}], "gold", "kind"?, "source"?,
//   "difficulty"?} GSM8K   {"question", "answer": "... #### n"} verl    {"prompt": [{"role",
//   "content"}], "reward_model": {"ground_truth"}, "data_source"?, "ability"?,
//            "extra_info": {"index"}?}
//
// Of kinds "reward" and "preference", which have a score instead of a right answer, ours has "gold"
// as the answer to compare with (reward: none), and may have "check": {"kind", "gold"}, a rule that
// says right or wrong besides.
//
// Other keys are allowed and ignored: data sets carry columns of their own.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/types.h"
#include "nlohmann/json_fwd.hpp"

namespace ponder::data {

// A GSM8K prompt gets the id "gsm8k-<line_number>", kind "math" and the number after "####", commas
// stripped, as its gold answer; a verl prompt "<data_source>-<index>", or the line number without
// an index. `kind` is "math" unless it is given. InvalidArgument says what is wrong with the line
// and what to do, not where the line is.
absl::StatusOr<Prompt> ParsePromptLine(absl::string_view line, int64_t line_number);

// [{"role", "content"}, ...]
nlohmann::ordered_json MessagesToJson(const std::vector<Message>& messages);

// Our own layout; ParsePromptLine reads its dump back to the same prompt.
nlohmann::ordered_json PromptToJson(const Prompt& prompt);

}  // namespace ponder::data

// Files of the offline stages: dialogues with the response to imitate, and preferences between two
// responses. JSON Lines, or one JSON array of the same objects, as Alpaca ships.
//
//   dialogue    {"messages": [{"role", "content"}, ...]}, the last by the assistant
//               {"instruction", "input"?, "output"}                                    Alpaca
//   preference  {"prompt": text or messages, "chosen": text, "rejected": text, "margin"?: number}
//
// Other keys are allowed and ignored.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/types.h"

namespace ponder::data {

// Values.
struct Dialogue {
  std::vector<Message> messages;  // what the model is shown
  std::string response;           // what it is to say
};
struct Preference {
  std::vector<Message> messages;
  std::string chosen;
  std::string rejected;
  double margin = 0;  // by how much the chosen one is better, in the reward model's units
};

// InvalidArgument, "file:line: what is wrong" (of an array, the number of the entry): a broken
// entry, or none at all.
absl::StatusOr<std::vector<Dialogue>> LoadDialogues(const std::string& path);
absl::StatusOr<std::vector<Preference>> LoadPreferences(const std::string& path);

// A response as text, split into the thought that it opens with, "<think>...</think>", and what
// follows. Without one the thought is empty.
struct ThoughtAndAnswer {
  absl::string_view thought;
  absl::string_view answer;
};
ThoughtAndAnswer SplitThought(absl::string_view response);

}  // namespace ponder::data

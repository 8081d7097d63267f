#include "data/preference_set.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/philox.h"
#include "base/status.h"
#include "data/prompt_line.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace {

std::string Response(const std::string& thought, const std::string& answer) {
  return absl::StrCat("<think>", thought, "</think>", answer);
}

bool IsNumber(const std::string& text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!absl::ascii_isdigit(c)) return false;
  }
  return true;
}

// `number` with another digit in one place, as long as before.
std::string WrongAnswer(std::string number, Rng& rng) {
  const int64_t place = rng.NextInt(0, static_cast<int64_t>(number.size()) - 1);
  char& digit = number[static_cast<size_t>(place)];
  const int least = place == 0 && number.size() > 1;  // no leading 0
  int wrong = least + static_cast<int>(rng.NextInt(0, 8 - least));
  wrong += wrong >= digit - '0';
  digit = static_cast<char>('0' + wrong);
  return number;
}

// The worked solution with a wrong last result; "" if it does not end in its answer.
std::string WrongSolution(const Trace& trace, Rng& rng) {
  if (!IsNumber(trace.answer)) return "";
  const std::string wrong = WrongAnswer(trace.answer, rng);
  std::string thought = trace.thought;
  if (!thought.empty()) {
    if (thought.size() < trace.answer.size() ||
        thought.compare(thought.size() - trace.answer.size(), trace.answer.size(), trace.answer) !=
            0) {
      return "";
    }
    thought.replace(thought.size() - trace.answer.size(), trace.answer.size(), wrong);
  }
  return Response(thought, wrong);
}

}  // namespace

std::vector<Preference> MakePreferences(const TaskSet& set, uint64_t seed) {
  constexpr int kTries = 100;  // at another prompt with another answer
  Rng rng(seed, "preferences");
  std::vector<Preference> preferences;
  for (const Trace& trace : set.train) {
    Preference preference;
    preference.messages = trace.prompt.messages;
    preference.chosen = Response(trace.thought, trace.answer);
    preference.rejected = WrongSolution(trace, rng);
    for (int i = 0; i < kTries && preference.rejected.empty(); ++i) {
      const Trace& other = set.train[static_cast<size_t>(
          rng.NextInt(0, static_cast<int64_t>(set.train.size()) - 1))];
      if (other.prompt.source != trace.prompt.source || other.answer == trace.answer) continue;
      preference.rejected = Response(other.thought, other.answer);
    }
    if (!preference.rejected.empty()) preferences.push_back(std::move(preference));
  }
  return preferences;
}

absl::Status WritePreferenceFiles(const TaskSet& set, const std::string& folder, uint64_t seed) {
  std::string dialogues, preferences;
  for (const Trace& trace : set.train) {
    nlohmann::ordered_json messages = MessagesToJson(trace.prompt.messages);
    messages.push_back({{"role", "assistant"}, {"content", Response(trace.thought, trace.answer)}});
    absl::StrAppend(&dialogues, nlohmann::ordered_json{{"messages", messages}}.dump(), "\n");
  }
  for (const Preference& preference : MakePreferences(set, seed)) {
    const nlohmann::ordered_json json = {{"prompt", MessagesToJson(preference.messages)},
                                         {"chosen", preference.chosen},
                                         {"rejected", preference.rejected}};
    absl::StrAppend(&preferences, json.dump(), "\n");
  }
  PONDER_RETURN_IF_ERROR(MakeFolder(folder));
  PONDER_RETURN_IF_ERROR(WriteFileAtomic(folder + "/dialogues.jsonl", dialogues));
  return WriteFileAtomic(folder + "/preferences.jsonl", preferences);
}

}  // namespace ponder::data

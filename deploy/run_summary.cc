#include "deploy/run_summary.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {
namespace {

using Json = nlohmann::ordered_json;

Json OrNull(const std::optional<double>& value) {
  return value.has_value() ? Json(*value) : Json();
}

std::string Text(const Json& record, const char* key) {
  return record.contains(key) && record[key].is_string() ? record[key].get<std::string>() : "";
}

double Number(const Json& record, const char* key) {
  return record.contains(key) && record[key].is_number() ? record[key].get<double>() : 0;
}

// What one life of the run has to say of a stage; the seconds add up over lives.
class StageClock {
 public:
  void Start(double time) {
    total_ += last_ - start_;
    start_ = last_ = time;
  }
  void Saw(double time) { last_ = std::max(last_, time); }
  // What was measured stands, whatever the dates say: the wall clock may have been set meanwhile.
  void Lasted(double seconds) { last_ = start_ + seconds; }
  double seconds() const { return total_ + last_ - start_; }

 private:
  double total_ = 0, start_ = 0, last_ = 0;
};

}  // namespace

absl::StatusOr<RunSummary> Summarize(const RunFolder& run) {
  PONDER_ASSIGN_OR_RETURN(const std::string text, ReadFile(run.metrics()));
  RunSummary summary;
  std::map<std::string, StageClock> clocks;
  std::map<int64_t, Json> rl_steps;  // a resumed run does some steps again: the last one stands
  int64_t line_number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    ++line_number;
    const Json record = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
    if (!record.is_object()) {
      return absl::DataLossError(
          absl::StrCat(run.metrics(), ":", line_number, ": not a JSON object"));
    }
    const std::string event = Text(record, "event");
    const double time = Number(record, "time");
    if (event == "stage_start") clocks[Text(record, "stage")].Start(time);
    if (event == "stage_end") clocks[Text(record, "stage")].Lasted(Number(record, "seconds"));
    if (event == "sft_step") clocks["sft"].Saw(time);
    if (event == "rl_step") {
      clocks["rl"].Saw(time);
      rl_steps[static_cast<int64_t>(Number(record, "step"))] = record;
    }
    if (event == "eval") {
      const std::string name = Text(record, "name");
      summary.evaluated.insert(name);
      const double accuracy = Number(record, "accuracy"), greedy = Number(record, "greedy");
      if (name == "before_sft") summary.accuracy_before = accuracy, summary.greedy_before = greedy;
      if (name == "after_sft") summary.accuracy_sft = accuracy, summary.greedy_sft = greedy;
      if (name == "after_rl") summary.accuracy_rl = accuracy, summary.greedy_rl = greedy;
    }
  }
  summary.seconds_sft = clocks["sft"].seconds();
  summary.seconds_rl = clocks["rl"].seconds();
  for (const auto& [step, record] : rl_steps) {
    summary.steps = std::max(summary.steps, step);
    summary.samples += static_cast<int64_t>(Number(record, "samples"));
    if (Number(record, "on_policy_tokens") > 0) {
      summary.logprob_gap_max =
          std::max(summary.logprob_gap_max.value_or(0), Number(record, "logprob_gap_max"));
    }
  }
  return summary;
}

absl::Status WriteSummary(const RunFolder& run, const RunSummary& summary,
                          const std::string& model_dir) {
  const Json json = {{"accuracy_before", OrNull(summary.accuracy_before)},
                     {"accuracy_sft", OrNull(summary.accuracy_sft)},
                     {"accuracy_rl", OrNull(summary.accuracy_rl)},
                     {"greedy_before", OrNull(summary.greedy_before)},
                     {"greedy_sft", OrNull(summary.greedy_sft)},
                     {"greedy_rl", OrNull(summary.greedy_rl)},
                     {"seconds_sft", summary.seconds_sft},
                     {"seconds_rl", summary.seconds_rl},
                     {"steps", summary.steps},
                     {"samples", summary.samples},
                     {"logprob_gap_max", OrNull(summary.logprob_gap_max)},
                     {"model_dir", model_dir}};
  return WriteFileAtomic(run.summary(), json.dump(2) + "\n");
}

}  // namespace ponder::deploy

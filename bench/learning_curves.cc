// Compares runs: a table of what each learned, in Markdown, and a picture of their learning curves.
//
//   bench_learning_curves OUT.svg NAME=RUN [NAME=RUN ...]
//
// Everything comes from RUN/metrics.jsonl and RUN/summary.json. Runs of one name are seeds of one
// recipe: the table has a line each, the picture the mean of their curves.
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

using Json = nlohmann::json;

struct Run {
  std::string name;
  std::string folder;
  std::map<int64_t, double> accuracy;  // of the sampled answers, by step
  Json summary;
};

// A resumed run does some steps again: the last one stands.
absl::Status Read(Run* run) {
  PONDER_ASSIGN_OR_RETURN(const std::string metrics, ReadFile(run->folder + "/metrics.jsonl"));
  for (const absl::string_view line : absl::StrSplit(metrics, '\n', absl::SkipEmpty())) {
    const Json record = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
    if (!record.is_object() || record.value("event", "") != "rl_step") continue;
    if (record.value("pretraining", false)) continue;
    run->accuracy[record["step"].get<int64_t>()] = record["accuracy"].get<double>();
  }
  PONDER_ASSIGN_OR_RETURN(const std::string summary, ReadFile(run->folder + "/summary.json"));
  run->summary = Json::parse(summary, nullptr, /*allow_exceptions=*/false);
  if (!run->summary.is_object()) {
    return absl::DataLossError(run->folder + "/summary.json: not a JSON object");
  }
  return absl::OkStatus();
}

std::string Percent(const Json& summary, const char* key) {
  return summary.contains(key) && summary[key].is_number()
             ? absl::StrFormat("%.1f%%", 100 * summary[key].get<double>())
             : "";
}

void PrintTable(const std::vector<Run>& runs) {
  std::printf("| recipe | after SFT | after RL | gained | greedy, SFT to RL | RL, s | samples |\n");
  std::printf("| --- | --- | --- | --- | --- | --- | --- |\n");
  for (const Run& run : runs) {
    const Json& s = run.summary;
    std::string gained;
    if (s["accuracy_sft"].is_number() && s["accuracy_rl"].is_number()) {
      gained = absl::StrFormat(
          "%+.1f", 100 * (s["accuracy_rl"].get<double>() - s["accuracy_sft"].get<double>()));
    }
    std::printf("| %s | %s | %s | %s | %s to %s | %.0f | %lld |\n", run.name.c_str(),
                Percent(s, "accuracy_sft").c_str(), Percent(s, "accuracy_rl").c_str(),
                gained.c_str(), Percent(s, "greedy_sft").c_str(), Percent(s, "greedy_rl").c_str(),
                s.value("seconds_rl", 0.0), static_cast<long long>(s.value("samples", int64_t{0})));
  }
}

// The mean over runs of each step that all have done, then over a window of steps around it.
std::vector<std::pair<int64_t, double>> Curve(const std::vector<const Run*>& runs) {
  constexpr int64_t kHalfWindow = 5;
  std::vector<std::pair<int64_t, double>> raw, smooth;
  for (const auto& [step, first] : runs[0]->accuracy) {
    double sum = 0;
    size_t count = 0;
    for (const Run* run : runs) {
      const auto found = run->accuracy.find(step);
      if (found == run->accuracy.end()) continue;
      sum += found->second;
      ++count;
    }
    if (count == runs.size()) raw.emplace_back(step, sum / static_cast<double>(count));
  }
  const int64_t n = static_cast<int64_t>(raw.size());
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0;
    const int64_t first = std::max<int64_t>(0, i - kHalfWindow);
    const int64_t last = std::min(n - 1, i + kHalfWindow);
    for (int64_t j = first; j <= last; ++j) sum += raw[j].second;
    smooth.emplace_back(raw[i].first, sum / static_cast<double>(last - first + 1));
  }
  return smooth;
}

std::string Picture(const std::vector<Run>& runs) {
  constexpr double kWidth = 720, kHeight = 400, kLeft = 50, kTop = 15, kRight = 120, kBottom = 40;
  constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#000000", "#999999"};
  std::vector<std::string> names;
  std::map<std::string, std::vector<const Run*>> by_name;
  int64_t steps = 1;
  for (const Run& run : runs) {
    if (by_name[run.name].empty()) names.push_back(run.name);
    by_name[run.name].push_back(&run);
    if (!run.accuracy.empty()) steps = std::max(steps, run.accuracy.rbegin()->first);
  }
  const auto x = [&](double step) {
    return kLeft + (kWidth - kLeft - kRight) * step / static_cast<double>(steps);
  };
  const auto y = [&](double share) {
    return kHeight - kBottom - (kHeight - kTop - kBottom) * share;
  };
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
      "font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      kWidth, kHeight);
  for (int tenth = 0; tenth <= 10; tenth += 2) {
    absl::StrAppendFormat(
        &svg,
        "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#ddd\"/><text x=\"%.1f\" y=\"%.1f\" "
        "text-anchor=\"end\">%d%%</text>\n",
        kLeft, y(tenth / 10.0), kWidth - kRight, kLeft - 6, y(tenth / 10.0) + 4, tenth * 10);
  }
  for (int quarter = 0; quarter <= 4; ++quarter) {
    const int64_t step = steps * quarter / 4;
    absl::StrAppendFormat(&svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%d</text>\n",
                          x(static_cast<double>(step)), kHeight - kBottom + 18, step);
  }
  absl::StrAppendFormat(
      &svg,
      "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">step; answers sampled in "
      "training that are right, mean over 11 steps</text>\n",
      (kLeft + kWidth - kRight) / 2, kHeight - 6);
  for (size_t i = 0; i < names.size(); ++i) {
    const char* colour = kColours[i % std::size(kColours)];
    std::string points;
    for (const auto& [step, share] : Curve(by_name[names[i]])) {
      absl::StrAppendFormat(&points, "%.1f,%.1f ", x(static_cast<double>(step)), y(share));
    }
    const double row = kTop + 12 + 18 * static_cast<double>(i);
    absl::StrAppendFormat(
        &svg,
        "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\" points=\"%s\"/>\n"
        "<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\">%s</text>\n",
        colour, points, kWidth - kRight + 10, row, colour, names[i]);
  }
  return svg + "</svg>\n";
}

absl::Status Main(int argc, char** argv) {
  std::vector<Run> runs;
  for (int i = 2; i < argc; ++i) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(argv[i], absl::MaxSplits('=', 1));
    if (parts.second.empty()) return absl::InvalidArgumentError("expected NAME=RUN");
    Run run;
    run.name = parts.first;
    run.folder = parts.second;
    PONDER_RETURN_IF_ERROR(Read(&run));
    runs.push_back(std::move(run));
  }
  if (runs.empty()) {
    return absl::InvalidArgumentError("usage: bench_learning_curves OUT.svg NAME=RUN ...");
  }
  PrintTable(runs);
  return WriteFileAtomic(argv[1], Picture(runs));
}

}  // namespace
}  // namespace ponder

int main(int argc, char** argv) {
  const absl::Status status = ponder::Main(argc, argv);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

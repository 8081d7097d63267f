#include "verifier/counters.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"

namespace ponder::verifier {
namespace {

constexpr size_t kMaxSeries = 256;  // of one metric
constexpr double kBounds[] = {1e-5, 1e-4, 1e-3, 5e-3, 25e-3, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60};

struct Description {
  const char* name;
  const char* type;
  std::vector<const char*> labels;
  const char* help;
};

const Description& Of(Metric metric) {
  // In the order of Metric.
  static const auto* const all = new std::vector<Description>{
      {"verdicts_total", "counter", {"kind", "outcome", "detail"}, "Verdicts given."},
      {"grade_seconds", "histogram", {"kind"}, "Time to judge one answer, without the queue."},
      {"refusals_total", "counter", {"code"}, "Calls refused, by status code."},
      {"audit_lost_total", "counter", {}, "Verdicts that the audit log could not take."},
      {"judge_answers_total", "counter", {"result"}, "Questions to the judge model, by result."},
      {"score_answers_total", "counter", {"result"}, "Questions to models that score, by result."},
      {"canaries_total", "counter", {"result"}, "Known hacks put to the judge model, by result."},
      {"canary_alarm", "gauge", {}, "1 once more than 0.5% of the canaries have been paid."},
      {"queue_length", "gauge", {}, "Pieces of work that wait for a thread."},
      {"calls_in_flight", "gauge", {}, "Calls begun and not ended."},
  };
  return (*all)[static_cast<size_t>(metric)];
}

std::string Name(Metric metric) { return absl::StrCat("ponder_verifier_", Of(metric).name); }

// Whole numbers stay whole.
std::string Number(double value) { return absl::StrFormat("%.15g", value); }

std::string Escaped(const std::string& value) {
  return absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}});
}

// {kind="math",le="0.1"}
std::string Labels(const Description& of, const std::vector<std::string>& values,
                   const std::string& bound = "") {
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) {
    absl::StrAppend(&text, text.empty() ? "{" : ",", of.labels[i], "=\"", Escaped(values[i]), "\"");
  }
  if (!bound.empty()) absl::StrAppend(&text, text.empty() ? "{" : ",", "le=\"", bound, "\"");
  return text.empty() ? text : text + "}";
}

}  // namespace

Counters::Series& Counters::At(Metric metric, std::vector<std::string>* labels) {
  PONDER_CHECK(labels->size() == Of(metric).labels.size(), Of(metric).name);
  Family& family = families_[metric];
  if (family.size() >= kMaxSeries && !family.contains(*labels)) labels->back() = "other";
  return family[*labels];
}

void Counters::Add(Metric metric, std::vector<std::string> labels, int64_t amount) {
  absl::MutexLock lock(&mutex_);
  At(metric, &labels).value += static_cast<double>(amount);
}

void Counters::Set(Metric metric, double value) {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> none;
  At(metric, &none).value = value;
}

void Counters::Observe(Metric metric, std::vector<std::string> labels, double seconds) {
  const size_t bucket =
      std::lower_bound(std::begin(kBounds), std::end(kBounds), seconds) - std::begin(kBounds);
  absl::MutexLock lock(&mutex_);
  Series& series = At(metric, &labels);
  series.in_bucket.resize(std::size(kBounds) + 1);
  ++series.in_bucket[bucket];
  ++series.observations;
  series.value += seconds;
}

int64_t Counters::Count(Metric metric, const std::vector<std::string>& labels) const {
  absl::MutexLock lock(&mutex_);
  const auto family = families_.find(metric);
  if (family == families_.end()) return 0;
  const auto series = family->second.find(labels);
  return series == family->second.end() ? 0 : static_cast<int64_t>(series->second.value);
}

int64_t Counters::Total(Metric metric) const {
  absl::MutexLock lock(&mutex_);
  double total = 0;
  const auto family = families_.find(metric);
  if (family == families_.end()) return 0;
  for (const auto& [labels, series] : family->second) total += series.value;
  return static_cast<int64_t>(total);
}

std::string Counters::Page() const {
  absl::MutexLock lock(&mutex_);
  std::string page;
  for (const auto& [metric, family] : families_) {
    const Description& of = Of(metric);
    const std::string name = Name(metric);
    absl::StrAppend(&page, "# HELP ", name, " ", of.help, "\n# TYPE ", name, " ", of.type, "\n");
    for (const auto& [labels, series] : family) {
      if (series.in_bucket.empty()) {
        absl::StrAppend(&page, name, Labels(of, labels), " ", Number(series.value), "\n");
        continue;
      }
      int64_t below = 0;
      for (size_t i = 0; i < series.in_bucket.size(); ++i) {
        below += series.in_bucket[i];
        const std::string bound = i < std::size(kBounds) ? Number(kBounds[i]) : "+Inf";
        absl::StrAppend(&page, name, "_bucket", Labels(of, labels, bound), " ", below, "\n");
      }
      absl::StrAppend(&page, name, "_sum", Labels(of, labels), " ", Number(series.value), "\n",
                      name, "_count", Labels(of, labels), " ", series.observations, "\n");
    }
  }
  return page;
}

}  // namespace ponder::verifier

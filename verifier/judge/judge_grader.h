// Kind "judge": answers that rules can't decide, put to a language model.
#pragma once

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "verifier/counters.h"
#include "verifier/grader.h"
#include "verifier/judge/chat_model.h"
#include "verifier/judge/judge_prompt.h"

namespace ponder::verifier {

// A machine, thread-safe: a panel of one model that hears every case twice, with the answers in
// either order. Only two YES make an answer right and only two NO wrong; YES and NO is undecided.
// Of every 1/canary_rate cases one is followed by a known hack; a model that pays more than 0.5% of
// them raises the alarm (Metric::kCanaryAlarm, and a line in the log).
class JudgePanel {
 public:
  struct Options {
    absl::Duration timeout = absl::Seconds(60);  // of one case, both hearings
    double canary_rate = 0.02;                   // 0: no canaries
  };
  enum class Decision { kSame, kDifferent, kUndecided, kMalformed, kUnavailable, kTooLate };

  // Both outlive this.
  JudgePanel(const Options& options, const ChatModel& model, Counters* counters)
      : options_(options), model_(model), counters_(*counters) {}

  // `why` becomes one line for people.
  Decision Decide(const JudgeQuestion& question, absl::Time deadline, std::string* why)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Decision Hear(const JudgeQuestion& question, absl::Time deadline, std::string* why);
  void ReleaseCanary(const JudgeQuestion& question, absl::Time deadline)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Which canary is due with this case; -1 if none.
  int64_t DueCanary() ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  const ChatModel& model_;
  Counters& counters_;
  absl::Mutex mutex_;
  double due_ ABSL_GUARDED_BY(mutex_) = 0;  // a canary at 1
  int64_t canaries_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The gold is the reference, or a JSON object {"question", "gold"}. Rules come first: what
// MathGrader finds equal is correct, what it proves different wrong, and what it can't read for a
// reason that no judge can mend (a cut-off thought, no answer) unparsable. The model is asked about
// the rest, unless the answer says nothing (SaysNothing) or is longer than kMaxJudged characters.
// `Verdict::detail` besides MathGrader's: "says_nothing", "too_long", "judge_undecided"
// (kUnparsable), "judge_malformed", "judge_unavailable" (kError), "judge_timeout" (kTimeout).
class JudgeGrader final : public Grader {
 public:
  // `panel` outlives this.
  explicit JudgeGrader(JudgePanel* panel) : panel_(*panel) {}

  Verdict Grade(const Question& question, absl::Time deadline) const override;
  // That there is a reference; no model is asked.
  absl::Status CheckGold(absl::string_view gold) const override;
  Pace pace() const override { return Pace::kModels; }

 private:
  JudgePanel& panel_;
};

// Another grader first; the panel is asked only where it can't read an answer that is there.
class JudgeFallback final : public Grader {
 public:
  // `panel` outlives this.
  JudgeFallback(std::unique_ptr<const Grader> rules, JudgePanel* panel)
      : rules_(std::move(rules)), panel_(*panel) {}

  Verdict Grade(const Question& question, absl::Time deadline) const override;
  absl::Status CheckGold(absl::string_view gold) const override { return rules_->CheckGold(gold); }
  Pace pace() const override { return Pace::kModels; }

 private:
  const std::unique_ptr<const Grader> rules_;
  JudgePanel& panel_;
};

}  // namespace ponder::verifier

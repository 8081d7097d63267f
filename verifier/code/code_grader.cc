#include "verifier/code/code_grader.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "verifier/code/submission.h"
#include "verifier/sandbox/self_test.h"

namespace ponder::verifier {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);  // for the sandbox's self-test

}  // namespace

absl::Status CodeGrader::MakeSandbox() const {
  if (!failure_.ok() || machines_.sandbox != nullptr) return failure_;
  auto sandbox = Sandbox::Make(options_.sandbox);
  failure_ = sandbox.status();
  if (sandbox.ok()) machines_.sandbox = *std::move(sandbox);
  return failure_;
}

absl::Status CodeGrader::CheckLayers() const {
  absl::MutexLock lock(&mutex_);
  return MakeSandbox();
}

absl::StatusOr<const CodeGrader::Machines*> CodeGrader::GetMachines(int stop) const {
  absl::MutexLock lock(&mutex_);
  PONDER_RETURN_IF_ERROR(MakeSandbox());
  if (machines_.judge == nullptr) {
    const absl::Status holds =
        ponder::verifier::SelfTest(*machines_.sandbox, SteadyNow() + kPatience, stop);
    if (!holds.ok()) {
      if (!absl::IsCancelled(holds)) failure_ = holds;
      return holds;
    }
    machines_.compiler = std::make_unique<Compiler>(options_.compiler, *machines_.sandbox);
    machines_.judge = std::make_unique<CodeJudge>(options_.parallel_tests, *machines_.sandbox,
                                                  *machines_.compiler);
  }
  return &machines_;
}

Verdict CodeGrader::Grade(const Question& question, absl::Time deadline) const {
  Verdict verdict;
  const auto fail = [&](const absl::Status& status) {
    verdict.outcome =
        absl::IsDeadlineExceeded(status) ? Verdict::Outcome::kTimeout : Verdict::Outcome::kError;
    verdict.detail = "IE";
    verdict.reason = std::string(status.message());
    return verdict;
  };
  const absl::StatusOr<CodeTask> task = ParseCodeTask(question.gold);
  if (!task.ok()) return fail(task.status());
  const Submission submission = FindSubmission(question.response, *task);
  if (submission.found != Submission::Found::kProgram) {
    verdict.outcome = Verdict::Outcome::kUnparsable;
    verdict.reason = submission.found == Submission::Found::kUnclosedThought
                         ? "the thought is never closed"
                         : "no code";
    return verdict;
  }
  const absl::StatusOr<const Machines*> machines = GetMachines();
  if (!machines.ok()) return fail(machines.status());
  const absl::StatusOr<CodeVerdict> judged = verdicts_.Get(
      absl::StrCat(question.gold, std::string(1, '\0'), submission.source), deadline,
      [&]() -> absl::StatusOr<Memo<CodeVerdict>::Made> {
        PONDER_ASSIGN_OR_RETURN(
            CodeVerdict made,
            (*machines)->judge->Judge(*task, std::string(submission.source), deadline));
        const bool keep = made.repeatable;
        const size_t bytes = made.code.size() + made.reason.size();
        return Memo<CodeVerdict>::Made{std::move(made), bytes, keep};
      });
  if (!judged.ok()) return fail(judged.status());
  verdict.outcome = judged->code == "AC" ? Verdict::Outcome::kCorrect : Verdict::Outcome::kWrong;
  verdict.extracted = std::string(submission.source);
  verdict.detail = judged->code;
  verdict.reason = judged->reason;
  return verdict;
}

absl::Status CodeGrader::CheckGold(absl::string_view gold) const {
  return ParseCodeTask(gold).status();
}

absl::Status CodeGrader::SelfTest(int stop) const { return GetMachines(stop).status(); }

}  // namespace ponder::verifier

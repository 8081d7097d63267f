// The grader of programs: kind "code".
#pragma once

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "verifier/code/compiler.h"
#include "verifier/code/judge.h"
#include "verifier/code/memo.h"
#include "verifier/grader.h"
#include "verifier/sandbox/sandbox.h"

namespace ponder::verifier {

// The gold is ParseCodeTask's. A program that does not pass is kWrong, with the code of CodeVerdict
// as `detail`; where the sandbox or the tests fail, the verdict is kError with detail "IE": no
// program is ever wrong because of the machine. Thread-safe.
class CodeGrader final : public Grader {
 public:
  struct Options {
    Sandbox::Options sandbox;
    Compiler::Options compiler;
    int parallel_tests = 2;
    // Verdicts of the same program on the same tests are remembered, up to this many bytes of text:
    // a model that is sure of itself writes one program many times. 0: each is run.
    size_t remembered_bytes = 64 << 20;
  };
  CodeGrader() : CodeGrader(Options()) {}
  explicit CodeGrader(const Options& options)
      : options_(options), verdicts_(options.remembered_bytes) {}

  Verdict Grade(const Question& question, absl::Time deadline) const override;
  // That the gold can be read; what a right program is, it doesn't say.
  absl::Status CheckGold(absl::string_view gold) const override;
  Pace pace() const override { return Pace::kPrograms; }

  // Is there what the sandbox needs? A matter of milliseconds. FailedPrecondition names the layers
  // that are missing and not accepted; Grade then answers kError alone.
  absl::Status CheckLayers() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Does the sandbox hold? See verifier/sandbox/self_test.h. Asked once, at the latest before the
  // first program; programs wait for it. FailedPrecondition: no; Grade then answers kError alone.
  // Cancelled: `stop`, a descriptor or -1, became readable first; the next program asks again.
  absl::Status SelfTest(int stop = -1) const;

 private:
  struct Machines {
    std::unique_ptr<Sandbox> sandbox;
    std::unique_ptr<Compiler> compiler;
    std::unique_ptr<CodeJudge> judge;
  };
  absl::Status MakeSandbox() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Made when first needed; the sandbox has then passed its self-test.
  absl::StatusOr<const Machines*> GetMachines(int stop = -1) const ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  mutable Memo<CodeVerdict> verdicts_;  // by tests and program
  mutable absl::Mutex mutex_;
  mutable absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  mutable Machines machines_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ponder::verifier

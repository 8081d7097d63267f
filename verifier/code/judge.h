// Runs a program against the tests of its question.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "verifier/code/code_task.h"
#include "verifier/code/compiler.h"
#include "verifier/sandbox/sandbox.h"

namespace ponder::verifier {

// What became of a program. `code`: AC, or why not: WA, TLE, MLE, OLE, RE, CE.
struct CodeVerdict {
  std::string code;
  std::string reason;  // for people
  bool repeatable = true;  // false: the machine's speed had a part in it
};

// CE, of a source that didn't compile.
CodeVerdict FailureOf(const Compilation& compilation);
// How a run ended that did not succeed: over a limit (TLE, MLE, OLE) or RE.
CodeVerdict FailureOf(const RunResult& run);

// A machine, thread-safe. Errors mean that nothing is known about the program: InvalidArgument, the
// tests are at fault; others are the sandbox's.
class CodeJudge {
 public:
  // `parallel_tests`: tests of one program that run at a time. The others outlive this.
  CodeJudge(int parallel_tests, Sandbox& sandbox, Compiler& compiler)
      : parallel_tests_(parallel_tests), sandbox_(sandbox), compiler_(compiler) {}

  absl::StatusOr<CodeVerdict> Judge(const CodeTask& task, const std::string& source,
                                    absl::Time deadline) const;

 private:
  using Result = absl::StatusOr<CodeVerdict>;
  // A program ready to run, or the verdict CE.
  struct Ready;
  absl::StatusOr<Ready> MakeReady(Language language, const std::string& source,
                                  absl::Time deadline) const;

  Result JudgeStreams(const CodeTask& task, const std::string& source, absl::Time deadline) const;
  Result JudgeStream(const CodeTask& task, const Ready& answer, const Ready& checker,
                     const StreamTest& test, absl::Time deadline) const;
  Result JudgeCalls(const CodeTask& task, const std::string& source, absl::Time deadline) const;

  const int parallel_tests_;
  Sandbox& sandbox_;
  Compiler& compiler_;
};

}  // namespace ponder::verifier

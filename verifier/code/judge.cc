#include "verifier/code/judge.h"

#include <signal.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "verifier/code/output_compare.h"
#include "verifier/code/python_programs.h"

namespace ponder::verifier {
namespace {

const std::vector<std::string>& PythonCommand() {
  // Without the site module, the user's folders and environment variables.
  static const auto* command =
      new std::vector<std::string>{"/usr/bin/python3", "-I", "-S", "-E", "-B", "/box/run.py"};
  return *command;
}

}  // namespace

CodeVerdict FailureOf(const Compilation& compilation) {
  return {"CE", compilation.diagnostics, compilation.repeatable};
}

CodeVerdict FailureOf(const RunResult& run) {
  switch (run.end) {
    case RunResult::End::kCpuLimit:
      return {"TLE", "CPU time", false};
    case RunResult::End::kWallLimit:
      return {"TLE", "wall clock", false};
    case RunResult::End::kMemoryLimit:
      return {"MLE", "memory"};
    case RunResult::End::kOutputLimit:
      return {"OLE", "output"};
    case RunResult::End::kSignaled:
      if (run.signal == SIGXCPU) return {"TLE", "CPU time", false};
      return {"RE",
              absl::StrCat("killed by signal ", run.signal, " (", strsignal(run.signal), ")")};
    case RunResult::End::kExited:
    case RunResult::End::kStopped:
      break;
  }
  return {"RE", absl::StrCat("exit code ", run.exit_code)};
}

// What runs a source: its command and the files it needs.
struct CodeJudge::Ready {
  std::vector<std::string> argv;
  std::vector<JailFile> files;  // views of this, of `source` or of constants
  std::shared_ptr<const Compilation> compilation;
  bool Failed() const { return compilation != nullptr && !compilation->succeeded; }
};

absl::StatusOr<CodeJudge::Ready> CodeJudge::MakeReady(Language language, const std::string& source,
                                                      absl::Time deadline) const {
  Ready ready;
  if (language == Language::kPython) {
    ready.argv = PythonCommand();
    ready.files = {{"run.py", PythonStreamProgram()}, {"main.py", source}};
    return ready;
  }
  PONDER_ASSIGN_OR_RETURN(ready.compilation, compiler_.Compile(source, false, deadline));
  ready.argv = {"/box/main"};
  ready.files = {{"main", ready.compilation->binary, true}};
  return ready;
}

CodeJudge::Result CodeJudge::Judge(const CodeTask& task, const std::string& source,
                                   absl::Time deadline) const {
  const bool streams =
      task.kind == CodeTask::Kind::kStreams || task.kind == CodeTask::Kind::kChecker;
  return streams ? JudgeStreams(task, source, deadline) : JudgeCalls(task, source, deadline);
}

CodeJudge::Result CodeJudge::JudgeStream(const CodeTask& task, const Ready& answer,
                                         const Ready& checker, const StreamTest& test,
                                         absl::Time deadline) const {
  Program program;
  program.argv = answer.argv;
  program.files = answer.files;
  program.input = test.input;
  program.limits = task.limits;
  PONDER_ASSIGN_OR_RETURN(const RunResult run, sandbox_.Run(program, deadline));
  if (!run.Succeeded()) return FailureOf(run);
  if (task.kind == CodeTask::Kind::kStreams) {
    if (OutputMatches(run.output, test.output, task.tolerance)) return CodeVerdict{"AC", ""};
    return CodeVerdict{"WA", "other output"};
  }
  Program check;
  check.argv = checker.argv;
  if (task.checker_language == Language::kCpp) {
    check.argv.insert(check.argv.end(), {"/box/input.txt", "/box/output.txt", "/box/answer.txt"});
  }
  check.files = checker.files;
  check.files.insert(
      check.files.end(),
      {{"input.txt", test.input}, {"output.txt", run.output}, {"answer.txt", test.output}});
  PONDER_ASSIGN_OR_RETURN(const RunResult checked, sandbox_.Run(check, deadline));
  if (checked.Succeeded()) return CodeVerdict{"AC", ""};
  // testlib: 1 is a wrong answer, 2 one of the wrong form; 3 and more the checker's own failure. A
  // Python program that raises exits with 1 too, but says so.
  const bool raised = task.checker_language == Language::kPython && !checked.error_output.empty() &&
                      checked.error_output.find("Traceback") != std::string::npos;
  if (checked.end == RunResult::End::kExited && checked.exit_code <= 2 && !raised) {
    return CodeVerdict{"WA", "refused by the checker"};
  }
  return absl::InvalidArgumentError(absl::StrCat("the checker failed: ", FailureOf(checked).code,
                                                 ", ", FailureOf(checked).reason, "; ",
                                                 checked.error_output.substr(0, 300)));
}

CodeJudge::Result CodeJudge::JudgeStreams(const CodeTask& task, const std::string& source,
                                          absl::Time deadline) const {
  Ready checker;
  if (task.kind == CodeTask::Kind::kChecker) {
    PONDER_ASSIGN_OR_RETURN(checker, MakeReady(task.checker_language, task.checker, deadline));
    if (checker.Failed()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the checker does not compile: ", checker.compilation->diagnostics));
    }
    if (task.checker_language == Language::kPython) {
      checker.files = {{"run.py", PythonCheckerProgram()}, {"checker.py", task.checker}};
    }
  }
  PONDER_ASSIGN_OR_RETURN(const Ready answer, MakeReady(task.language, source, deadline));
  if (answer.Failed()) return FailureOf(*answer.compilation);

  const int count = static_cast<int>(task.streams.size());
  std::vector<std::optional<Result>> results(count);
  std::atomic<int> next{0};
  std::atomic<bool> stop{false};
  // Tests start in order and those that have started end: the first failure is always the same.
  const auto work = [&] {
    while (!stop) {
      const int i = next++;
      if (i >= count) return;
      results[i] = JudgeStream(task, answer, checker, task.streams[i], deadline);
      if (!results[i]->ok() || (*results[i])->code != "AC") stop = true;
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < std::min(parallel_tests_, count); ++t) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  for (int i = 0; i < count; ++i) {
    if (!results[i]) break;
    if (!results[i]->ok()) return *results[i];
    if ((*results[i])->code != "AC") {
      (*results[i])->reason += absl::StrCat(" (test ", i + 1, " of ", count, ")");
      return *results[i];
    }
  }
  return CodeVerdict{"AC", absl::StrCat(count, " tests")};
}

}  // namespace ponder::verifier

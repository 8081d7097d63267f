// The part of CodeJudge that calls functions: two jails, one with the answer and one with the
// tests.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "verifier/code/cpp_programs.h"
#include "verifier/code/judge.h"
#include "verifier/code/python_programs.h"

namespace ponder::verifier {
namespace {

// What the driver found; `kind` is right, wrong, raised, lost or broken (the tests are at fault).
struct Finding {
  std::string kind;
  std::string reason;
};

// The tests' process is trusted; that it does not come to an end is their fault or the machine's.
absl::StatusOr<Finding> PythonFinding(const RunResult& driver) {
  const nlohmann::json json =
      nlohmann::json::parse(driver.output, nullptr, /*allow_exceptions=*/false);
  if (!driver.Succeeded() || !json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the tests did not come to an end: ", driver.error_output.substr(0, 300)));
  }
  return Finding{json.value("verdict", ""), json.value("reason", "")};
}

absl::StatusOr<Finding> CppFinding(const RunResult& driver) {
  if (driver.Succeeded()) return Finding{"right", ""};
  if (driver.end == RunResult::End::kSignaled && driver.signal == SIGABRT) {
    return Finding{"wrong", "an assertion failed"};
  }
  if (driver.end == RunResult::End::kExited && driver.exit_code == kCppLost) {
    return Finding{"lost", "the program ended before it answered"};
  }
  if (driver.end == RunResult::End::kExited && driver.exit_code == kCppRaised) {
    return Finding{"raised", "an exception"};
  }
  return absl::InvalidArgumentError("the tests did not come to an end");
}

CodeVerdict FromFinding(const Finding& finding, const RunResult& answer) {
  if (finding.kind == "right") return {"AC", finding.reason};
  const CodeVerdict failure = FailureOf(answer);
  if (failure.code != "RE") return failure;
  if (finding.kind == "wrong") return {"WA", finding.reason};
  if (answer.end == RunResult::End::kSignaled) return failure;
  return {"RE", finding.reason};
}

}  // namespace

CodeJudge::Result CodeJudge::JudgeCalls(const CodeTask& task, const std::string& source,
                                        absl::Time deadline) const {
  const bool cpp = task.language == Language::kCpp;
  const bool cpp_driver = cpp && task.kind == CodeTask::Kind::kAsserts;
  const std::string call_program = PythonCallProgram(), driver_program = PythonDriverProgram();

  Program answer;
  answer.limits = task.limits;
  std::shared_ptr<const Compilation> answer_binary, driver_binary;
  if (cpp) {
    PONDER_ASSIGN_OR_RETURN(answer_binary,
                            compiler_.Compile(CppCallProgram(source, task.entry), true, deadline));
    if (!answer_binary->succeeded && absl::StartsWith(task.asserts, "}")) {
      // Those tests go with answers that leave the last brace to them.
      PONDER_ASSIGN_OR_RETURN(
          const auto with_brace,
          compiler_.Compile(CppCallProgram(source + "\n}\n", task.entry), true, deadline));
      if (with_brace->succeeded) answer_binary = with_brace;
    }
    if (!answer_binary->succeeded) return FailureOf(*answer_binary);
    answer.argv = {"/box/main"};
    answer.files = {{"main", answer_binary->binary, true}};
  } else {
    answer.argv = {"/usr/bin/python3", "-I", "-S", "-E", "-B", "/box/run.py"};
    answer.files = {{"run.py", call_program}, {"main.py", source}};
  }

  // The tests may not be what fails first when the answer is slow.
  Program driver;
  driver.limits.cpu_seconds = task.limits.cpu_seconds + 10;
  driver.limits.wall_seconds = task.limits.wall_seconds + 10;
  driver.limits.memory_bytes = int64_t{1} << 30;
  std::string job;
  if (cpp_driver) {
    PONDER_ASSIGN_OR_RETURN(
        driver_binary,
        compiler_.Compile(CppDriverProgram(task.asserts, task.entry), true, deadline));
    if (!driver_binary->succeeded) {
      return absl::InvalidArgumentError(
          absl::StrCat("the tests do not compile: ", driver_binary->diagnostics));
    }
    driver.argv = {"/box/main"};
    driver.files = {{"main", driver_binary->binary, true}};
  } else {
    job = task.cases;
    if (task.kind == CodeTask::Kind::kAsserts) {
      job =
          nlohmann::json{{"asserts", task.asserts}, {"entry", task.entry}, {"prompt", task.prompt}}
              .dump();
    }
    driver.argv = {"/usr/bin/python3", "-I", "-S", "-E", "-B", "/box/run.py"};
    driver.files = {{"run.py", driver_program}};
    driver.input = job;
  }

  int requests[2], replies[2];
  if (pipe2(requests, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  if (pipe2(replies, O_CLOEXEC) != 0) {
    close(requests[0]);
    close(requests[1]);
    return ErrnoStatus(errno, "pipe");
  }
  answer.channel_in = requests[0];
  driver.channel_out = requests[1];
  driver.channel_in = replies[0];
  answer.channel_out = replies[1];
  const Sandbox::PairResult runs = sandbox_.RunPair(answer, driver, deadline);
  PONDER_RETURN_IF_ERROR(runs.first.status());
  PONDER_RETURN_IF_ERROR(runs.second.status());
  PONDER_ASSIGN_OR_RETURN(const Finding finding,
                          cpp_driver ? CppFinding(*runs.second) : PythonFinding(*runs.second));
  if (finding.kind == "broken") return absl::InvalidArgumentError(finding.reason);
  return FromFinding(finding, *runs.first);
}

}  // namespace ponder::verifier

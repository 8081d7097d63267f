#include "verifier/code/code_task.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::verifier {
namespace {

using Json = nlohmann::json;

absl::Status Wrong(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("code question: ", what));
}

absl::Status ReadString(const Json& object, const char* name, std::string* value) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) {
    return Wrong(absl::StrCat("'", name, "' must be a string"));
  }
  *value = found->get<std::string>();
  return absl::OkStatus();
}

absl::StatusOr<Language> ReadLanguage(const Json& object, const char* name) {
  std::string text;
  PONDER_RETURN_IF_ERROR(ReadString(object, name, &text));
  absl::AsciiStrToLower(&text);
  if (text == "python" || text == "python3" || text == "py") return Language::kPython;
  if (text == "cpp" || text == "c++") return Language::kCpp;
  return Wrong(absl::StrCat("'", name, "' is '", text, "', neither python nor cpp"));
}

// A number in [least, most]; absent: `value` stays.
template <typename T>
absl::Status ReadNumber(const Json& object, const char* name, double least, double most, T* value,
                        double unit = 1) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return absl::OkStatus();
  const double number = found->is_number() ? found->get<double>() : -1;
  if (!(number >= least && number <= most)) {
    return Wrong(absl::StrCat("'", name, "' must be a number from ", least, " to ", most));
  }
  *value = static_cast<T>(number * unit);
  return absl::OkStatus();
}

absl::Status ReadLimits(const Json& gold, Limits* limits) {
  const auto found = gold.find("limits");
  if (found == gold.end() || found->is_null()) return absl::OkStatus();
  if (!found->is_object()) return Wrong("'limits' must be an object");
  PONDER_RETURN_IF_ERROR(ReadNumber(*found, "cpu_s", 0.01, 600, &limits->cpu_seconds));
  limits->wall_seconds = 2 * limits->cpu_seconds + 2;
  PONDER_RETURN_IF_ERROR(ReadNumber(*found, "wall_s", 0.01, 1200, &limits->wall_seconds));
  PONDER_RETURN_IF_ERROR(
      ReadNumber(*found, "memory_mb", 16, 65536, &limits->memory_bytes, 1 << 20));
  PONDER_RETURN_IF_ERROR(ReadNumber(*found, "processes", 1, 4096, &limits->processes));
  PONDER_RETURN_IF_ERROR(
      ReadNumber(*found, "output_bytes", 1, int64_t{1} << 30, &limits->output_bytes));
  limits->file_bytes = std::min(limits->file_bytes, limits->memory_bytes);
  return absl::OkStatus();
}

absl::Status ReadStreams(const Json& tests, bool with_output, std::vector<StreamTest>* streams) {
  const auto list = tests.find("stdin");
  if (list == tests.end() || !list->is_array() || list->empty()) {
    return Wrong("'stdin' must be a list of tests that is not empty");
  }
  for (const Json& test : *list) {
    if (!test.is_object()) return Wrong("a test of 'stdin' must be an object");
    StreamTest stream;
    PONDER_RETURN_IF_ERROR(ReadString(test, "input", &stream.input));
    if (with_output || test.contains("output")) {
      PONDER_RETURN_IF_ERROR(ReadString(test, "output", &stream.output));
    }
    streams->push_back(std::move(stream));
  }
  return absl::OkStatus();
}

absl::Status ReadCases(const Json& tests, CodeTask* task) {
  PONDER_RETURN_IF_ERROR(ReadString(tests, "function", &task->entry));
  const auto cases = tests.find("cases");
  if (cases == tests.end() || !cases->is_array() || cases->empty()) {
    return Wrong("'cases' must be a list that is not empty");
  }
  for (const Json& one : *cases) {
    if (!one.is_object() || !one.contains("args") || !one.contains("output")) {
      return Wrong("a case must have 'args' and 'output'");
    }
  }
  task->case_count = static_cast<int>(cases->size());
  return absl::OkStatus();
}

// A name that may be pasted into a program.
bool IsIdentifier(absl::string_view name) {
  return !name.empty() && !absl::ascii_isdigit(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

}  // namespace

absl::StatusOr<CodeTask> ParseCodeTask(absl::string_view gold) {
  const Json object = Json::parse(gold.begin(), gold.end(), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return Wrong("the gold is not a JSON object");
  CodeTask task;
  PONDER_ASSIGN_OR_RETURN(task.language, ReadLanguage(object, "language"));
  PONDER_RETURN_IF_ERROR(ReadLimits(object, &task.limits));
  const auto found = object.find("tests");
  if (found == object.end() || !found->is_object()) return Wrong("'tests' must be an object");
  const Json& tests = *found;
  PONDER_RETURN_IF_ERROR(ReadNumber(tests, "tolerance", 0, 1, &task.tolerance));
  if (tests.contains("checker")) {
    task.kind = CodeTask::Kind::kChecker;
    PONDER_RETURN_IF_ERROR(ReadString(tests, "checker", &task.checker));
    if (tests.contains("checker_language")) {
      PONDER_ASSIGN_OR_RETURN(task.checker_language, ReadLanguage(tests, "checker_language"));
    }
    PONDER_RETURN_IF_ERROR(ReadStreams(tests, /*with_output=*/false, &task.streams));
  } else if (tests.contains("stdin")) {
    task.kind = CodeTask::Kind::kStreams;
    PONDER_RETURN_IF_ERROR(ReadStreams(tests, /*with_output=*/true, &task.streams));
  } else if (tests.contains("function")) {
    task.kind = CodeTask::Kind::kCases;
    PONDER_RETURN_IF_ERROR(ReadCases(tests, &task));
    // As text: numbers keep all their digits.
    task.cases = std::string(gold);
  } else if (tests.contains("asserts")) {
    task.kind = CodeTask::Kind::kAsserts;
    PONDER_RETURN_IF_ERROR(ReadString(tests, "asserts", &task.asserts));
    PONDER_RETURN_IF_ERROR(ReadString(tests, "entry", &task.entry));
    if (tests.contains("prompt")) {
      if (task.language != Language::kPython) return Wrong("'prompt' is for Python alone");
      PONDER_RETURN_IF_ERROR(ReadString(tests, "prompt", &task.prompt));
    }
    task.entry = std::string(absl::StripAsciiWhitespace(task.entry));
  } else {
    return Wrong("'tests' has none of 'stdin', 'checker', 'function', 'asserts'");
  }
  const bool calls = task.kind == CodeTask::Kind::kCases || task.kind == CodeTask::Kind::kAsserts;
  if (calls && !IsIdentifier(task.entry)) return Wrong("the function's name is no identifier");
  return task;
}

}  // namespace ponder::verifier

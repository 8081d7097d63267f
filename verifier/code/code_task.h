// What a code question asks: the tests, the language and the limits, read from its gold.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "verifier/sandbox/program.h"

namespace ponder::verifier {

enum class Language { kPython, kCpp };

struct StreamTest {
  std::string input;
  std::string output;
};

// A value. Exactly one of the four kinds of tests.
struct CodeTask {
  enum class Kind {
    kStreams,  // standard input to standard output, compared token by token
    kChecker,  // the same, but a program judges the output
    kCases,    // calls of one function, with the value that each returns
    kAsserts,  // a test program in the answer's language that calls functions of the answer
  };
  Kind kind = Kind::kStreams;
  Language language = Language::kPython;
  Limits limits;
  std::vector<StreamTest> streams;  // kStreams, kChecker
  double tolerance = 0;             // of numbers in outputs; 0: exact
  std::string checker;              // its source
  Language checker_language = Language::kPython;
  std::string entry;  // kCases, kAsserts: the function
  std::string cases;  // kCases: the whole gold, for the driver to read
  int case_count = 0;
  std::string asserts;  // their source
  std::string prompt;   // kAsserts in Python: the code that the question gives
};

// `gold` is a JSON object {"language", "tests", "limits"?}. `tests` is one of
//   {"stdin": [{"input", "output"}], "tolerance"?}
//   {"checker": source, "checker_language"?, "stdin": [{"input", "output"?}]}
//   {"function": name, "cases": [{"args", "output"}], "tolerance"?}
//   {"asserts": source, "entry": name, "prompt"?: source}
// where what `prompt`, in Python, defines besides the entry is the tests' own: an answer that
// defines it again changes nothing for them, and `limits` {"cpu_s", "wall_s", "memory_mb",
// "processes", "output_bytes"}, each optional. InvalidArgument says which field is wrong.
absl::StatusOr<CodeTask> ParseCodeTask(absl::string_view gold);

}  // namespace ponder::verifier

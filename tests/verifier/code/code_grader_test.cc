// Programs, honest and hostile, against the verdict that each must get.
#include "verifier/code/code_grader.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder::verifier {
namespace code_grader_test {

using Json = nlohmann::json;
using Outcome = Verdict::Outcome;

const std::string kData = std::string(PONDER_SOURCE_DIR) + "/tests/data/verifier/";

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<Json> ReadLines(const std::string& name) {
  std::vector<Json> lines;
  std::istringstream in(ReadText(kData + name));
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
  return lines;
}

const CodeGrader& Grader() {
  static const auto* grader = [] {
    CodeGrader::Options options;
    options.remembered_bytes = 0;
    return new CodeGrader(options);
  }();
  return *grader;
}

Verdict Grade(const std::string& language, const Json& tests, const std::string& response,
              const Json& limits = Json()) {
  Json gold = {{"language", language}, {"tests", tests}};
  if (!limits.is_null()) gold["limits"] = limits;
  return Grader().Grade({gold.dump(), response}, absl::InfiniteFuture());
}

// a + b, in each kind of test.
Json AddByStreams() {
  Json tests = {{"stdin", Json::array()}};
  for (const auto& [a, b] : {std::pair(2, 40), {10, 21}, {100, -7}}) {
    tests["stdin"].push_back(
        {{"input", absl::StrCat(a, " ", b, "\n")}, {"output", absl::StrCat(a + b, "\n")}});
  }
  return tests;
}
const Json kAddByCases = {{"function", "add"},
                          {"cases",
                           {{{"args", {2, 40}}, {"output", 42}},
                            {{"args", {10, 21}}, {"output", 31}},
                            {{"args", {0, 1}}, {"output", 1}}}}};
const Json kAddByAsserts = {
    {"asserts",
     "def check(candidate):\n  assert candidate(2, 40) == 42\n  assert add(0, 1) == 1\n"},
    {"entry", "add"}};
const Json kAddByCppAsserts = {
    {"asserts",
     "}\nint main() {\n auto candidate = add;\n assert(candidate((2), (40)) == (42));\n"
     " assert(candidate((0), (1)) == (1));\n}\n"},
    {"entry", "add"}};

// Tight, so that the test is quick; the shape of the verdict doesn't depend on it.
const Json kTight = {
    {"cpu_s", 2}, {"wall_s", 10}, {"memory_mb", 192}, {"processes", 32}, {"output_bytes", 1 << 20}};

std::string LanguageOf(const std::string& file) {
  return absl::EndsWith(file, ".cpp") ? "cpp" : "python";
}

// Processes of the jails' users, but for those in the control groups of another verifier.
std::set<std::string> ProcessesOfTheJail() {
  const std::string ours = absl::StrCat("/ponder-", getpid(), "-");
  std::set<std::string> found;
  for (int user = 65000; user < 65016; ++user) {
    FILE* ps = popen(absl::StrCat("ps -o pid= -u ", user).c_str(), "r");
    char line[256];
    while (ps != nullptr && fgets(line, sizeof(line), ps)) {
      const std::string process(absl::StripAsciiWhitespace(line));
      std::ifstream file("/proc/" + process + "/cgroup");
      if (!file) continue;  // it has ended
      const std::string groups(std::istreambuf_iterator<char>(file), {});
      if (!absl::StrContains(groups, "/ponder-") || absl::StrContains(groups, ours))
        found.insert(process);
    }
    if (ps != nullptr) pclose(ps);
  }
  return found;
}

// Calls work(i) for i below `count`, three at a time: more, and on a busy machine of two cores an
// attack runs out of wall-clock time before it has shown what it is.
void AtOnce(size_t count, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (size_t at; (at = next++) < count;) work(at);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

struct Attack {
  std::string file, mode, expect, language, source;
  Json tests;
};

// Every program of the manifest, in every mode it can be judged in.
std::vector<Attack> Attacks() {
  std::vector<Attack> attacks;
  for (const Json& row : ReadLines("attacks/manifest.jsonl")) {
    const std::string file = row["file"], mode = row["mode"], expect = row["expect"];
    const std::string source = ReadText(kData + "attacks/" + file);
    std::vector<Json> tests;
    if (mode == "func") {
      tests = {kAddByCases, kAddByAsserts};
    } else if (mode == "compile" && file == "compile/op_eq.cpp") {
      tests = {AddByStreams(), kAddByCases, kAddByCppAsserts};
    } else {
      tests = {AddByStreams()};
    }
    for (const Json& test : tests) {
      attacks.push_back({file, mode, expect, LanguageOf(file), source, test});
    }
  }
  return attacks;
}

TEST(CodeGrader, GivesEveryAttackAnExpectedVerdict) {
  const std::string core_pattern = ReadText("/proc/sys/kernel/core_pattern");
  const std::vector<Attack> attacks = Attacks();
  std::vector<Verdict> verdicts(attacks.size());
  AtOnce(attacks.size(), [&](size_t i) {
    verdicts[i] = Grade(attacks[i].language, attacks[i].tests, attacks[i].source, kTight);
  });
  for (size_t i = 0; i < attacks.size(); ++i) {
    const auto& [file, mode, expect, language, source, tests] = attacks[i];
    SCOPED_TRACE(absl::StrCat(file, " ", tests.dump().substr(0, 40)));
    {
      const Verdict& verdict = verdicts[i];
      const std::string code = verdict.detail == "RE" ? "RTE" : verdict.detail;
      EXPECT_NE(verdict.outcome, Outcome::kError) << verdict.reason;
      if (expect == "AC") {
        EXPECT_EQ(code, "AC") << verdict.reason;
      } else if (mode == "io") {
        const std::vector<std::string> allowed = absl::StrSplit(expect, '|');
        EXPECT_THAT(allowed, testing::Contains(code)) << verdict.reason;
      } else {
        EXPECT_NE(code, "AC");
      }
    }
  }
  EXPECT_EQ(attacks.size(), 39u + 2 * 21 + 9 + 2);
  EXPECT_EQ(ReadText("/proc/sys/kernel/core_pattern"), core_pattern);
  EXPECT_THAT(ProcessesOfTheJail(), testing::IsEmpty());
}

// Programs that reach for the wire between the answer and its tests.
TEST(CodeGrader, JudgesWhatReachesForTheWire) {
  const std::vector<Json> rows = ReadLines("code/own_attacks.jsonl");
  ASSERT_GE(rows.size(), 25u);
  std::vector<Verdict> verdicts(rows.size());
  AtOnce(rows.size(), [&](size_t i) {
    const Json& row = rows[i];
    const Json& tests = row["mode"] == "cases"        ? kAddByCases
                        : row["language"] == "python" ? kAddByAsserts
                                                      : kAddByCppAsserts;
    verdicts[i] = Grade(row["language"], tests, row["source"], kTight);
  });
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(verdicts[i].outcome, Outcome::kWrong)
        << rows[i]["name"] << ": " << verdicts[i].detail << ", " << verdicts[i].reason;
  }
}

TEST(CodeGrader, SaysWhichLimitACallRanInto) {
  const auto detail = [](const std::string& language, const Json& tests, const std::string& body) {
    return Grade(language, tests, body, kTight).detail;
  };
  for (const Json& tests : {kAddByCases, kAddByAsserts}) {
    EXPECT_EQ(detail("python", tests, "def add(a, b):\n  while True: pass\n"), "TLE");
    EXPECT_EQ(detail("python", tests,
                     "def add(a, b):\n  return len([b'x' * 2**20] + [bytes([i % 7]) * 2**20 for i "
                     "in range(900)])\n"),
              "MLE");
    EXPECT_EQ(detail("python", tests, "def add(a, b):\n  raise ValueError\n"), "RE");
    EXPECT_EQ(detail("python", tests, "def add(a, b):\n  return a - b\n"), "WA");
  }
  EXPECT_EQ(detail("cpp", kAddByCppAsserts,
                   "int add(int a, int b) { for (volatile int i = 0;; i = i + 1) {} }"),
            "TLE");
}

TEST(CodeGrader, PaysNoHack) {
  for (const Json& row : ReadLines("code/hacks.jsonl")) {
    if (row["expected_reward"].is_null()) continue;
    const std::string response = row["response"];
    SCOPED_TRACE(response);
    const bool function = absl::StrContains(response, "def add");
    const Verdict verdict =
        Grade("python", function ? kAddByCases : AddByStreams(), response, kTight);
    EXPECT_NE(verdict.outcome, Outcome::kError) << verdict.reason;
    EXPECT_EQ(verdict.outcome == Outcome::kCorrect, row["expected_reward"] == 1) << verdict.detail;
  }
}

TEST(CodeGrader, KnowsCanonicalSolutionsFromStubs) {
  for (const Json& row : ReadLines("code/sample.jsonl")) {
    const Verdict verdict = Grade(row["language"], row["tests"], row["response"]);
    EXPECT_NE(verdict.outcome, Outcome::kError) << row["id"] << verdict.reason;
    EXPECT_EQ(verdict.outcome == Outcome::kCorrect, row["want"] == "AC")
        << row["id"] << ": " << verdict.detail << ", " << verdict.reason;
  }
}

TEST(CodeGrader, ComparesTypesStrictly) {
  const Json tests = {{"function", "f"},
                      {"cases", {{{"args", {0}}, {"output", {1, true, "x", nullptr, 2.5}}}}}};
  const auto returns = [&](const std::string& value) {
    return Grade("python", tests, "def f(x):\n    return " + value + "\n").detail;
  };
  EXPECT_EQ(returns("[1, True, 'x', None, 2.5]"), "AC");
  EXPECT_EQ(returns("(1.0, True, 'x', None, 2.5)"), "AC");
  EXPECT_EQ(returns("[True, True, 'x', None, 2.5]"), "WA");
  EXPECT_EQ(returns("[1, 1, 'x', None, 2.5]"), "WA");
  EXPECT_EQ(returns("[1, True, b'x', None, 2.5]"), "WA");
  EXPECT_EQ(returns("[1, True, 'x', 0, float('nan')]"), "WA");
  EXPECT_EQ(returns("type('L', (list,), {'__eq__': lambda a, b: True})()"), "WA");
  EXPECT_EQ(returns("1 // x"), "RE");
}

TEST(CodeGrader, TakesModulesOfTheTestsFromTheLibrary) {
  const Json tests = {{"asserts", "def check(f):\n  assert math.isclose(f(2), 1.5)\n"},
                      {"entry", "half "}};
  EXPECT_EQ(Grade("python", tests, "import math\ndef half(x): return 1.5").detail, "AC");
  EXPECT_EQ(Grade("python", tests,
                  "class math:\n  isclose = staticmethod(lambda a, b: True)\ndef half(x): return 1")
                .detail,
            "WA");
  const Json complex = {{"asserts", "assert root(-4) == 2j"}, {"entry", "root"}};
  EXPECT_EQ(Grade("python", complex, "def root(x): return complex(0, 2)").detail, "AC");
  EXPECT_EQ(Grade("python", complex, "def root(x): return complex(0, -2)").detail, "WA");
}

// HumanEval/32: the assertions call a function that the question gives.
TEST(CodeGrader, AnAnswerCannotReplaceWhatThePromptGives) {
  Json tests = {{"asserts", "def check(f):\n  assert abs(poly([-2, 1], f([-2, 1]))) < 1e-4\n"},
                {"entry", "find_zero"},
                {"prompt",
                 "import math\ndef poly(xs, x):\n"
                 "  return sum(c * math.pow(x, i) for i, c in enumerate(xs))\n"
                 "def find_zero(xs):\n  'Its zero.'\n"}};
  const char* hack = "def poly(xs, x): return 0\ndef find_zero(xs): return 7";
  EXPECT_EQ(Grade("python", tests, "def find_zero(xs): return -xs[0] / xs[1]").detail, "AC");
  EXPECT_EQ(Grade("python", tests, hack).detail, "WA");
  tests["prompt"] = "def poly(";
  EXPECT_EQ(Grade("python", tests, hack).detail, "IE");
  tests.erase("prompt");
  EXPECT_EQ(Grade("python", tests, hack).detail, "AC");  // nothing says what poly is
}

TEST(CodeGrader, PassesAnyByItsType) {
  const Json tests = {
      {"asserts",
       "int main() {\n auto candidate = ints;\n"
       " assert(candidate((std::vector<std::any>({4, std::map<long,long>(), 23.2f, 9, \"x\"})))"
       " == (std::vector<long>({(long)4, (long)9})));\n}\n"},
      {"entry", "ints"}};
  const std::string program =
      "#include <bits/stdc++.h>\nstd::vector<long> ints(std::vector<std::any> v) {\n"
      " std::vector<long> r;\n for (auto& x : v) if (x.type() == typeid(int)) "
      "r.push_back(std::any_cast<int>(x));\n return r;\n}\n";
  EXPECT_EQ(Grade("cpp", tests, program).detail, "AC");
}

TEST(CodeGrader, AsksTheChecker) {
  const std::string program = "print(sum(map(int, input().split())) + 0.1)";
  const Json streams = {{{"input", "1 2\n"}, {"output", "3\n"}}};
  const auto judged_by = [&](const std::string& checker) {
    return Grade("python", {{"checker", checker}, {"stdin", streams}}, program);
  };
  EXPECT_EQ(judged_by("def check(i, o, a): return abs(float(o) - float(a)) < 0.2").detail, "AC");
  EXPECT_EQ(judged_by("def check(i, o, a): return o == a").detail, "WA");
  EXPECT_EQ(judged_by("import sys\nsys.exit(float(open(sys.argv[2]).read()) != 3.1)").detail, "AC");
  EXPECT_EQ(judged_by("1 / 0").outcome, Outcome::kError);
}

// Of a program that guesses, twins asked for together and later get one verdict.
TEST(CodeGrader, RemembersVerdicts) {
  const CodeGrader grader;
  const std::string gold =
      Json{{"language", "python"}, {"tests", {{"stdin", {{{"input", ""}, {"output", "0"}}}}}}}
          .dump();
  const auto grade = [&](const std::string& name) {
    return grader
        .Grade({gold, "import os\nprint(os.urandom(1)[0] % 2)  # " + name}, absl::InfiniteFuture())
        .detail;
  };
  std::set<std::string> of_different_programs;
  for (int i = 0; i < 24; ++i) of_different_programs.insert(grade(absl::StrCat("number ", i)));
  EXPECT_EQ(of_different_programs.size(), 2u);
  std::mutex mutex;
  std::set<std::string> of_twins;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 6; ++i) {
        const std::string detail = grade("twin");
        const std::lock_guard<std::mutex> lock(mutex);
        of_twins.insert(detail);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(of_twins.size(), 1u);
}

// What was too slow may be in time when it is run again. (Were it remembered, all six would have to
// be in time at once, one chance in 64.)
TEST(CodeGrader, DoesNotRememberWhatWasTooSlow) {
  const CodeGrader grader;
  const std::string gold = Json{{"language", "python"},
                                {"tests", {{"stdin", {{{"input", ""}, {"output", "0"}}}}}},
                                {"limits", {{"cpu_s", 1}, {"wall_s", 1}}}}
                               .dump();
  for (int program = 0; program < 6; ++program) {
    const std::string source = absl::StrCat(
        "import os, time\nif os.urandom(1)[0] % 2: time.sleep(9)\nprint(0)  # ", program);
    std::string detail;
    for (int tries = 0; tries < 20 && detail != "AC"; ++tries) {
      detail = grader.Grade({gold, source}, absl::InfiniteFuture()).detail;
    }
    EXPECT_EQ(detail, "AC");
  }
}

TEST(CodeGrader, MasksWhatIsNotTheProgramsFault) {
  EXPECT_EQ(Grade("python", {{"asserts", "assert ("}, {"entry", "f"}}, "def f(): pass").detail,
            "IE");
  EXPECT_EQ(Grade("cobol", AddByStreams(), "x").outcome, Outcome::kError);
  EXPECT_EQ(Grade("python", Json::object(), "x").outcome, Outcome::kError);
  EXPECT_EQ(Grade("python", AddByStreams(), "<think>print(1)").outcome, Outcome::kUnparsable);
}

}  // namespace code_grader_test
}  // namespace ponder::verifier

// Programs judged per second, beside the floor of a bare bubblewrap and interpreter in the same
// run; and the verdicts of a file of lines.
//
//   bench_code                      runs/s of one test on 2 cores, Python and C++
//   bench_code --lines F [--threads N]   judges the lines of F ({"id", "language", "response",
//   "tests",
//                                   "want"?}), names those with another verdict than they want
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"
#include "nlohmann/json.hpp"
#include "verifier/code/code_grader.h"

namespace {

using Json = nlohmann::json;
using ponder::verifier::CodeGrader;

// Calls work(i) for i below `count` on `threads` threads; seconds of wall clock.
double Timed(int count, int threads, const std::function<void(int)>& work) {
  const absl::Time start = ponder::SteadyNow();
  std::atomic<int> next{0};
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&] {
      for (int i; (i = next++) < count;) work(i);
    });
  }
  for (std::thread& thread : all) thread.join();
  return absl::ToDoubleSeconds(ponder::SteadyNow() - start);
}

// Runs a command to its end, its input and output the null device.
void RunBare(const std::vector<std::string>& command) {
  std::cout.flush();  // or the child's freopen writes it again
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> argv;
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    if (freopen("/dev/null", "r", stdin) && freopen("/dev/null", "w", stdout)) {
      execv(argv[0], argv.data());
    }
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) std::cerr << "bare run: status " << status << "\n";
}

std::vector<std::string> Bubblewrap(const std::vector<std::string>& program) {
  std::vector<std::string> command = {
      "/usr/bin/bwrap", "--unshare-all", "--ro-bind", "/usr",      "/usr",   "--symlink",
      "usr/lib",        "/lib",          "--symlink", "usr/lib64", "/lib64", "--proc",
      "/proc",          "--dev",         "/dev",      "--tmpfs",   "/tmp"};
  command.insert(command.end(), program.begin(), program.end());
  return command;
}

CodeGrader::Options EachProgramRuns() {
  CodeGrader::Options options;
  options.remembered_bytes = 0;
  return options;
}

void Throughput() {
  const CodeGrader grader(EachProgramRuns());
  constexpr int kRuns = 200, kThreads = 2;
  const Json tests = {{"stdin", {{{"input", "1 2\n"}, {"output", "3\n"}}}}};
  const auto measure = [&](const std::string& language, const std::string& source,
                           const std::vector<std::string>& bare) {
    const std::string gold = Json{{"language", language}, {"tests", tests}}.dump();
    const auto judge = [&](int) {
      const ponder::Verdict verdict = grader.Grade({gold, source}, absl::InfiniteFuture());
      if (verdict.detail != "AC") std::cerr << verdict.detail << " " << verdict.reason << "\n";
    };
    judge(0);
    double floor = 0, judged = 0;
    for (int round = 0; round < 2; ++round) {  // in turns, so that both see the same machine
      floor += Timed(kRuns / 2, kThreads, [&](int) { RunBare(Bubblewrap(bare)); });
      judged += Timed(kRuns / 2, kThreads, judge);
    }
    std::cout << language << ": " << kRuns / judged << " runs/s; bare bwrap and program "
              << kRuns / floor << " runs/s; time per run " << judged / floor << " of the floor's\n";
  };
  measure("python", "a, b = map(int, input().split())\nprint(a + b)\n",
          {"/usr/bin/python3", "-I", "-S", "-E", "-c", "print(3)"});
  measure("cpp",
          "#include <iostream>\nint main() { long a, b; std::cin >> a >> b; std::cout << a + b; }",
          {"/usr/bin/true"});
}

int Lines(const std::string& path, int threads) {
  std::ifstream in(path);
  std::vector<Json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
  const CodeGrader grader(EachProgramRuns());
  std::mutex mutex;
  std::map<std::string, std::pair<int, int>> counts;  // by set and what was wanted: as wanted, all
  const double seconds = Timed(static_cast<int>(lines.size()), threads, [&](int i) {
    const Json& line = lines[i];
    Json gold = {{"language", line["language"]}, {"tests", line["tests"]}};
    if (line.contains("limits")) gold["limits"] = line["limits"];
    const ponder::Verdict verdict =
        grader.Grade({gold.dump(), line["response"].get<std::string>()}, absl::InfiniteFuture());
    const std::string id = line["id"].get<std::string>(), want = line.value("want", "");
    const bool ac = verdict.outcome == ponder::Verdict::Outcome::kCorrect;
    const bool masked = verdict.outcome == ponder::Verdict::Outcome::kError;
    const bool as_wanted = want.empty() || (!masked && ac == (want == "AC"));
    const std::lock_guard<std::mutex> lock(mutex);
    auto& count = counts[id.substr(0, id.find('/')) + " " + want];
    count.first += as_wanted;
    ++count.second;
    if (!as_wanted) {
      std::cout << id << ": " << verdict.detail << ", wanted " << want << "; "
                << verdict.reason.substr(0, 300) << "\n";
    }
  });
  for (const auto& [name, count] : counts) {
    std::cout << name << ": " << count.first << " of " << count.second << "\n";
  }
  std::cout << lines.size() << " programs in " << seconds << " s, " << lines.size() / seconds
            << "/s\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::cout << std::unitbuf;  // a long run is followed through a pipe
  std::string lines;
  int threads = 2;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--lines") lines = argv[i + 1];
    if (flag == "--threads") threads = std::max(1, atoi(argv[i + 1]));
  }
  if (!lines.empty()) return Lines(lines, threads);
  Throughput();
  return 0;
}

// The verifier's speed, one JSON line a figure: grades per second on one thread, latencies on texts
// that want to hurt, answers over gRPC with 64 callers, and with hostile programs beside.
//   bench_verifier [hostile grades, default 100000]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/grpcpp.h"
#include "nlohmann/json.hpp"
#include "tests/verifier/math/hostile_text.h"
#include "verifier/code/code_grader.h"
#include "verifier/math/math_grader.h"
#include "verifier/quick_work.h"
#include "verifier/server.h"

namespace ponder::verifier {
namespace {

using Clock = std::chrono::steady_clock;

struct Case {
  std::string gold, response;
};

std::vector<Case> Load(const std::string& file) {
  std::ifstream lines(PONDER_SOURCE_DIR "/tests/data/verifier/" + file);
  std::vector<Case> cases;
  for (std::string line; std::getline(lines, line);) {
    const auto one = nlohmann::json::parse(line);
    cases.push_back({one["gold"], one["response"]});
  }
  if (cases.empty()) {
    std::fprintf(stderr, "can't read tests/data/verifier/%s\n", file.c_str());
    std::exit(1);
  }
  return cases;
}

double Seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

// On one thread, over and over for two seconds.
void Throughput(const char* name, const std::vector<Case>& cases) {
  const MathGrader grader;
  int64_t grades = 0, correct = 0;
  const auto start = Clock::now();
  double seconds;
  do {
    for (const Case& one : cases) {
      const Verdict verdict = grader.Grade({one.gold, one.response}, absl::InfiniteFuture());
      correct += verdict.outcome == Verdict::Outcome::kCorrect;
      ++grades;
    }
  } while ((seconds = Seconds(start)) < 2);
  std::printf(
      "{\"bench\":\"%s\",\"grades_per_s_per_core\":%.0f,\"mean_us\":%.2f,\"correct\":%.4f}\n", name,
      static_cast<double>(grades) / seconds, seconds / static_cast<double>(grades) * 1e6,
      static_cast<double>(correct) / static_cast<double>(grades));
}

void PrintLatencies(const char* name, std::vector<double> ms, double seconds) {
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double share) {
    return ms[std::min(ms.size() - 1, static_cast<size_t>(share * static_cast<double>(ms.size())))];
  };
  std::printf(
      "{\"bench\":\"%s\",\"grades\":%zu,\"per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p99.9_"
      "ms\":"
      "%.3f,\"max_ms\":%.3f}\n",
      name, ms.size(), static_cast<double>(ms.size()) / seconds, at(0.5), at(0.99), at(0.999),
      ms.back());
}

// Processor time, so that what else runs on the machine doesn't count.
double ThreadMs() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

void Hostile(const std::vector<Case>& cases, int64_t grades) {
  std::vector<std::string> seeds;
  for (const Case& one : cases) seeds.push_back(one.response);
  math::HostileText texts(std::move(seeds), /*seed=*/1);
  const MathGrader grader;
  std::vector<double> ms;
  int64_t by_outcome[5] = {};
  const auto start = Clock::now();
  for (int64_t i = 0; i < grades; ++i) {
    const std::string response = texts.Next();
    const std::string& gold = cases[static_cast<size_t>(i) % cases.size()].gold;
    const double before = ThreadMs();
    const Verdict verdict = grader.Grade({gold, response}, absl::InfiniteFuture());
    ms.push_back(ThreadMs() - before);
    ++by_outcome[static_cast<size_t>(verdict.outcome)];
  }
  PrintLatencies("math_hostile_cpu", std::move(ms), Seconds(start));
  std::printf(
      "{\"bench\":\"math_hostile_outcomes\",\"correct\":%ld,\"wrong\":%ld,\"unparsable\":%ld,"
      "\"timeout\":%ld,\"error\":%ld}\n",
      by_outcome[0], by_outcome[1], by_outcome[2], by_outcome[3], by_outcome[4]);
}

void Callers(const std::vector<Case>& cases, int callers) {
  const Graders graders = MakeGraders();
  Counters counters;
  const auto server = Server::Start({}, graders, &counters);
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", std::string(server.status().message()).c_str());
    std::exit(1);
  }
  constexpr int kCalls = 200;  // of each caller
  std::vector<std::vector<double>> ms(callers);
  std::vector<std::thread> threads;
  const auto start = Clock::now();
  for (int t = 0; t < callers; ++t) {
    threads.emplace_back([&, t] {
      // A connection of its own.
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      auto stub = v1::Verifier::NewStub(grpc::CreateCustomChannel(
          (*server)->address(), grpc::InsecureChannelCredentials(), arguments));
      for (int i = 0; i < kCalls; ++i) {
        const Case& one = cases[static_cast<size_t>(t * kCalls + i) % cases.size()];
        v1::GradeRequest request;
        request.set_kind("math");
        request.set_gold(one.gold);
        request.set_response(one.response);
        v1::GradeResponse response;
        grpc::ClientContext context;
        const auto before = Clock::now();
        if (stub->Grade(&context, request, &response).ok()) ms[t].push_back(Seconds(before) * 1e3);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = Seconds(start);
  std::vector<double> all;
  for (const auto& one : ms) all.insert(all.end(), one.begin(), one.end());
  if (all.size() != static_cast<size_t>(callers) * kCalls)
    std::fprintf(stderr, "only %zu calls answered\n", all.size());
  PrintLatencies("grpc_64_callers", std::move(all), seconds);
}

// Milliseconds of `calls` calls one after the other, with a pause between them.
std::vector<double> Latencies(v1::Verifier::Stub& stub, const std::vector<Case>& cases, int calls) {
  std::vector<double> ms;
  for (int i = 0; i < calls; ++i) {
    const Case& one = cases[static_cast<size_t>(i) % cases.size()];
    v1::GradeRequest request;
    request.set_kind("math");
    request.set_gold(one.gold);
    request.set_response(one.response);
    v1::GradeResponse response;
    grpc::ClientContext context;
    const auto before = Clock::now();
    if (stub.Grade(&context, request, &response).ok()) ms.push_back(Seconds(before) * 1e3);
    absl::SleepFor(absl::Milliseconds(2));
  }
  return ms;
}

// Math while the same service runs hostile programs, beside what it is without them: in turn, a few
// seconds each, since what the machine does besides changes from one to the next.
void UnderAttack(const std::vector<Case>& cases) {
  const char* const kAttacks[] = {
      "while True: pass",
      "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass",
      "x = []\nwhile True: x.append(bytearray(1 << 20))",
      "import os\nwhile True: os.write(1, b'x' * 65536)",
      "import os\nf = open('/tmp/x', 'wb')\nwhile True: f.write(b'x' * (1 << 20))",
      "import threading\ndef f():\n  while True: pass\nfor i in range(20): "
      "threading.Thread(target=f).start()"};
  // Wired as ponder-verifier is.
  QuickWork quick_work;
  CodeGrader::Options code;
  code.sandbox.quick_work = &quick_work;
  Graders::Map map = ShippedGraders();
  map["code"] = std::make_unique<CodeGrader>(code);
  const Graders graders(std::move(map));
  Counters counters;
  Server::Options options;
  options.workers.quick_work = &quick_work;
  const auto server = Server::Start(options, graders, &counters);
  if (!server.ok()) return;
  const auto stub = v1::Verifier::NewStub(
      grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials()));
  constexpr int kCalls = 1000, kRounds = 5;
  std::atomic<bool> stop{false};
  std::atomic<int> attacks{0}, number{0};
  const auto attack = [&](int first) {
    for (int i = first; !stop; ++i) {
      v1::GradeRequest request;
      request.set_kind("code");
      request.set_gold(
          R"({"language":"python","tests":{"stdin":[{"input":"","output":"1"}]},)"
          R"("limits":{"cpu_s":1,"wall_s":3,"memory_mb":192,"processes":32,"output_bytes":1048576}})");
      // Each is another program, or its verdict would be remembered.
      request.set_response(
          absl::StrCat(kAttacks[static_cast<size_t>(i) % std::size(kAttacks)], "\n# ", number++));
      v1::GradeResponse response;
      grpc::ClientContext context;
      if (stub->Grade(&context, request, &response).ok()) ++attacks;
    }
  };
  Latencies(*stub, cases, kCalls / 10);
  std::vector<double> quiet, busy;
  double quiet_seconds = 0, busy_seconds = 0;
  const auto measure = [&](std::vector<double>* all, double* seconds) {
    const auto start = Clock::now();
    const std::vector<double> some = Latencies(*stub, cases, kCalls);
    *seconds += Seconds(start);
    all->insert(all->end(), some.begin(), some.end());
  };
  for (int round = 0; round < kRounds; ++round) {
    measure(&quiet, &quiet_seconds);
    stop = false;
    const int before = attacks;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back(attack, number + i);
    // In the first round the jail's self-test comes before.
    while (attacks < before + 4) absl::SleepFor(absl::Milliseconds(10));
    measure(&busy, &busy_seconds);
    stop = true;
    for (std::thread& thread : threads) thread.join();
  }
  PrintLatencies("math_quiet", std::move(quiet), quiet_seconds);
  PrintLatencies("math_under_attack", std::move(busy), busy_seconds);
  std::printf("{\"bench\":\"attacks_judged\",\"programs\":%d}\n", attacks.load());
}

}  // namespace
}  // namespace ponder::verifier

int main(int argc, char** argv) {
  using namespace ponder::verifier;          // NOLINT
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a long run is followed through a pipe
  const int64_t hostile = argc > 1 ? std::atoll(argv[1]) : 100'000;
  const auto gsm8k = Load("gsm8k_answers.jsonl"), math = Load("math.jsonl");
  Throughput("math_gsm8k", gsm8k);
  Throughput("math_cases", math);
  Hostile(math, hostile);
  Callers(gsm8k, 64);
  UnderAttack(gsm8k);
}

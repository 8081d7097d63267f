// ponder-verifier: judges answers, as a gRPC service or on a file.
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/status.h"
#include "grpc/support/log.h"
#include "verifier/code/code_grader.h"
#include "verifier/counters.h"
#include "verifier/graders.h"
#include "verifier/judge/http_chat_model.h"
#include "verifier/judge/judge_grader.h"
#include "verifier/judge/preference_grader.h"
#include "verifier/judge/score_model.h"
#include "verifier/offline.h"
#include "verifier/remote.h"
#include "verifier/self_test.h"
#include "verifier/server.h"

namespace {

namespace verifier = ponder::verifier;

constexpr char kCodeHealth[] = "code";  // its name in the health service

// Whether programs are judged: only with a sandbox, or the service doesn't start; where there is
// one; not at all.
constexpr char kRequired[] = "required", kIfJailed[] = "if-jailed", kOff[] = "off";

struct Flags {
  verifier::Server::Options server;
  verifier::RemoteVerifier::Options remote;
  verifier::HttpChatModel::Options judge_model;
  verifier::JudgePanel::Options judge;
  verifier::HttpScoreModel::Options reward_model;
  std::string judge_key_file, reward_key_file;
  double judge_timeout_seconds = 60, reward_timeout_seconds = 60, call_timeout_seconds = 120;
  bool judge_math = false;
  bool accept_missing_layers = false;
  std::string code = kRequired;
  size_t remembered_mb = verifier::CodeGrader::Options().remembered_bytes >> 20;
  std::string port_file, metrics_port_file;
  double grace_seconds = 10;
  bool every_processor = false;
  std::string in, out = "-";
  int threads = std::max(1u, std::thread::hardware_concurrency());
  int calls = 16;
};

// The graders of this process, and the models that some of them ask.
struct Bench {
  verifier::Counters counters;
  verifier::QuickWork quick_work;
  const verifier::Graders rules{[] {  // that answers which are scored may be checked by
    verifier::Graders::Map map = verifier::ShippedGraders();
    map.erase("code");  // slow, and not judged everywhere
    return map;
  }()};
  std::unique_ptr<verifier::HttpChatModel> model;
  std::unique_ptr<verifier::HttpScoreModel> reward_model;
  std::unique_ptr<verifier::JudgePanel> panel;
  const verifier::CodeGrader* code = nullptr;  // of `graders`; null without code
  std::unique_ptr<verifier::Graders> graders;
};

absl::StatusOr<std::string> ReadKey(const std::string& path) {
  if (path.empty()) return "";
  PONDER_ASSIGN_OR_RETURN(const std::string key, ponder::ReadFile(path));
  return std::string(absl::StripAsciiWhitespace(key));
}

absl::StatusOr<std::unique_ptr<Bench>> MakeBench(Flags flags) {
  auto bench = std::make_unique<Bench>();
  verifier::Graders::Map map = verifier::ShippedGraders();
  verifier::CodeGrader::Options options;
  options.sandbox.accept_missing_layers = flags.accept_missing_layers;
  if (!flags.every_processor) options.sandbox.quick_work = &bench->quick_work;
  options.remembered_bytes = flags.remembered_mb << 20;
  auto code = std::make_unique<verifier::CodeGrader>(options);
  const absl::Status layers = flags.code == kIfJailed ? code->CheckLayers() : absl::OkStatus();
  if (!layers.ok()) PONDER_LOG(kWarning, "programs are not judged: ", layers.message());
  if (flags.code == kOff || !layers.ok()) {
    map.erase("code");
  } else {
    bench->code = code.get();
    map["code"] = std::move(code);
  }
  if (!flags.judge_model.url.empty()) {
    PONDER_ASSIGN_OR_RETURN(flags.judge_model.key, ReadKey(flags.judge_key_file));
    PONDER_ASSIGN_OR_RETURN(bench->model, verifier::HttpChatModel::Create(flags.judge_model));
    flags.judge.timeout = absl::Seconds(flags.judge_timeout_seconds);
    bench->panel =
        std::make_unique<verifier::JudgePanel>(flags.judge, *bench->model, &bench->counters);
    map["judge"] = std::make_unique<verifier::JudgeGrader>(bench->panel.get());
    map["preference"] = std::make_unique<verifier::PairwiseGrader>(
        flags.judge.timeout, *bench->model, &bench->rules, &bench->counters);
    if (flags.judge_math) {
      map["math"] =
          std::make_unique<verifier::JudgeFallback>(std::move(map["math"]), bench->panel.get());
    }
  }
  if (!flags.reward_model.url.empty()) {
    PONDER_ASSIGN_OR_RETURN(flags.reward_model.key, ReadKey(flags.reward_key_file));
    PONDER_ASSIGN_OR_RETURN(bench->reward_model,
                            verifier::HttpScoreModel::Create(flags.reward_model));
    map["reward"] = std::make_unique<verifier::RewardGrader>(
        absl::Seconds(flags.reward_timeout_seconds), *bench->reward_model, &bench->rules,
        &bench->counters);
  }
  bench->graders = std::make_unique<verifier::Graders>(std::move(map));
  return bench;
}

// What to do about a sandbox that is not there or does not hold.
absl::Status SandboxAdvice(const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(
      status.code(),
      absl::StrCat(
          status.message(),
          "; --code off serves the other kinds, --accept-missing-layers runs programs that "
          "nobody trusts with fewer walls around them"));
}

// Serves until SIGTERM or SIGINT, or until the jail is found not to hold.
absl::Status Serve(const Flags& flags) {
  // Blocked before any thread starts, so that only sigwait below gets them.
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);

  ponder::SetLogName("verifier");
  PONDER_ASSIGN_OR_RETURN(const auto bench, MakeBench(flags));
  PONDER_RETURN_IF_ERROR(verifier::SelfTest(*bench->graders));
  if (bench->code != nullptr) PONDER_RETURN_IF_ERROR(SandboxAdvice(bench->code->CheckLayers()));
  verifier::Server::Options options = flags.server;
  options.workers.quick.threads = options.workers.programs.threads = flags.threads;
  options.workers.programs.queue_capacity = options.workers.models.queue_capacity =
      options.workers.quick.queue_capacity;
  options.workers.quick_work = &bench->quick_work;
  PONDER_ASSIGN_OR_RETURN(auto server,
                          verifier::Server::Start(options, *bench->graders, &bench->counters));
  if (!flags.metrics_port_file.empty()) {
    PONDER_RETURN_IF_ERROR(
        ponder::WriteFileAtomic(flags.metrics_port_file, server->metrics_address()));
  }
  if (!flags.port_file.empty()) {
    PONDER_RETURN_IF_ERROR(ponder::WriteFileAtomic(flags.port_file, server->address()));
  }
  PONDER_LOG(kInfo, "listening on ", server->address(), " with ", flags.threads, " threads");
  // Programs wait until the jail has been tried; nothing else does, nor the end of the service.
  absl::Status jail;
  std::thread trial;
  const int stop_trial = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_trial < 0) return ponder::ErrnoStatus(errno, "eventfd");
  if (bench->code != nullptr) {
    server->SetServing(kCodeHealth, false);
    trial = std::thread([&] {
      jail = bench->code->SelfTest(stop_trial);
      if (jail.ok()) {
        server->SetServing(kCodeHealth, true);
      } else if (!absl::IsCancelled(jail)) {
        kill(getpid(), SIGTERM);
      }
    });
  }
  int signal = 0;
  sigwait(&stop, &signal);
  PONDER_LOG(kInfo, strsignal(signal), ": finishing what is in flight");
  eventfd_write(stop_trial, 1);
  server->Shutdown(absl::Seconds(flags.grace_seconds));
  if (trial.joinable()) trial.join();
  close(stop_trial);
  return absl::IsCancelled(jail) ? absl::OkStatus() : SandboxAdvice(jail);
}

// Judges a file of lines with `judge`, several at once.
absl::Status GradeFile(const Flags& flags, const verifier::LineJudge& judge, int threads) {
  std::ifstream in_file;
  std::ofstream out_file;
  if (flags.in != "-") {
    in_file.open(flags.in);
    if (!in_file) return ponder::ErrnoStatus(errno, absl::StrCat("can't read ", flags.in));
  }
  if (flags.out != "-") {
    out_file.open(flags.out);
    if (!out_file) return ponder::ErrnoStatus(errno, absl::StrCat("can't write ", flags.out));
  }
  PONDER_ASSIGN_OR_RETURN(const verifier::OfflineReport report,
                          verifier::GradeLines(judge, threads, flags.in == "-" ? std::cin : in_file,
                                               flags.out == "-" ? std::cout : out_file, std::cerr));
  if (report.broken_lines.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "graded ", report.graded, " lines; not graded: ", absl::StrJoin(report.broken_lines, ", ")));
}

absl::Status Grade(const Flags& flags) {
  PONDER_ASSIGN_OR_RETURN(const auto bench, MakeBench(flags));
  return GradeFile(flags, verifier::JudgeWith(*bench->graders), flags.threads);
}

absl::Status Call(Flags flags) {
  flags.remote.timeout = absl::Seconds(flags.call_timeout_seconds);
  PONDER_ASSIGN_OR_RETURN(const auto remote, verifier::RemoteVerifier::Create(flags.remote));
  return GradeFile(
      flags, [&](const verifier::LineQuestion& question) { return remote->Grade(question); },
      flags.calls);
}

void AddFileOptions(CLI::App* command, Flags* flags) {
  command->add_option("--in", flags->in, "file of lines; -: standard input")->required();
  command->add_option("--out", flags->out, "file for the verdicts; -: standard output")
      ->capture_default_str();
}

// --NAME-url and what goes with it; the url, which the others need.
struct EndpointFlags {
  std::string *url, *model, *key_file;
  double* timeout_seconds;
};
CLI::Option* AddEndpointOptions(CLI::App* command, const std::string& name, const char* what,
                                const char* timeout, const EndpointFlags& flags) {
  const std::string prefix = absl::StrCat("--", name);
  CLI::Option* url = command->add_option(prefix + "-url", *flags.url, what);
  command->add_option(prefix + "-model", *flags.model, "the model's name there")->needs(url);
  command->add_option(prefix + "-key-file", *flags.key_file, "file with the endpoint's key")
      ->needs(url);
  command->add_option(prefix + "-timeout", *flags.timeout_seconds, timeout)
      ->needs(url)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  return url;
}

void AddGraderOptions(CLI::App* command, Flags* flags) {
  command->add_option("--threads", flags->threads, "threads that judge, and as many for programs")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_flag(
      "--accept-missing-layers", flags->accept_missing_layers,
      "judge programs although this machine lacks layers of the sandbox, and take the risk: they "
      "run as this process's user and may grow and disturb each other");
  command
      ->add_option("--remember-programs-mb", flags->remembered_mb,
                   "MB of programs and their tests whose verdicts are remembered; 0: none, every "
                   "program is run")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  CLI::Option* judge = AddEndpointOptions(
      command, "judge",
      "serve kinds judge and preference with the model behind this OpenAI-compatible endpoint "
      "(http://host:port/v1)",
      "seconds for one answer, which is judged twice",
      {&flags->judge_model.url, &flags->judge_model.model, &flags->judge_key_file,
       &flags->judge_timeout_seconds});
  command
      ->add_option("--judge-canary-rate", flags->judge.canary_rate,
                   "known hacks put to the model, per answer judged")
      ->needs(judge)
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command
      ->add_flag("--judge-math", flags->judge_math,
                 "ask the model too about answers of kind math that rules can't read")
      ->needs(judge);
  AddEndpointOptions(
      command, "reward",
      "serve kind reward with the reward model behind this endpoint (http://host:port), as ponder "
      "serve's",
      "seconds for one answer",
      {&flags->reward_model.url, &flags->reward_model.model, &flags->reward_key_file,
       &flags->reward_timeout_seconds});
}

void AddServeOptions(CLI::App* serve, Flags* flags) {
  verifier::Server::Options& server = flags->server;
  serve->add_option("--listen", server.listen, "host:port; port 0: any free one")
      ->capture_default_str();
  serve->add_option("--port-file", flags->port_file, "write the host:port that is served there");
  AddGraderOptions(serve, flags);
  serve
      ->add_option("--code", flags->code,
                   "judge programs: required (refuse to start without a sandbox), if-jailed (only "
                   "where there is one) or off")
      ->check(CLI::IsMember({kRequired, kIfJailed, kOff}))
      ->capture_default_str();
  serve
      ->add_option("--model-threads", server.workers.models.threads,
                   "threads for kinds that ask models")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  serve
      ->add_option("--queue", server.workers.quick.queue_capacity,
                   "calls that may wait, for each: the quick, programs, models")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  serve->add_flag(
      "--every-processor", flags->every_processor,
      "programs use the first processor, too, while kinds of milliseconds are judged: for a "
      "machine that is busy anyway");
  serve
      ->add_option("--grace", flags->grace_seconds,
                   "seconds to finish what is in flight when stopped")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  CLI::Option* page = serve->add_option("--metrics-listen", server.metrics_listen,
                                        "host:port of Prometheus' page, /metrics");
  serve
      ->add_option("--metrics-port-file", flags->metrics_port_file,
                   "write the host:port of that page there")
      ->needs(page);
  serve->add_option("--audit-log", server.audit_log, "append every verdict to this JSONL file");
  serve->add_option("--tls-cert", server.access.tls_cert, "PEM file: serve over TLS with this");
  serve->add_option("--tls-key", server.access.tls_key, "PEM file: its key");
  serve->add_option("--client-ca", server.access.client_ca,
                    "PEM file: callers must show a certificate that one of these signed");
  serve->add_option("--token-file", server.access.token_file,
                    "callers must send the token in this file");
}

void AddCallOptions(CLI::App* call, Flags* flags) {
  verifier::RemoteVerifier::Options& remote = flags->remote;
  call->add_option("--address", remote.address, "host:port of the service")->required();
  AddFileOptions(call, flags);
  call->add_option("--calls", flags->calls, "calls under way at once")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  call->add_option("--timeout", flags->call_timeout_seconds, "seconds for one call")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  call->add_option("--tls-ca", remote.tls_ca,
                   "PEM file: use TLS; one of these signed the service's certificate");
  call->add_option("--tls-cert", remote.tls_cert, "PEM file: the certificate to show");
  call->add_option("--tls-key", remote.tls_key, "PEM file: its key");
  call->add_option("--token-file", remote.token_file, "send the token in this file");
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  Flags flags;
  CLI::App app(
      "Judges answers: as a gRPC service (serve), on a file (grade), or by calling such a service "
      "(call).",
      "ponder-verifier");
  app.require_subcommand(1);
  CLI::App* serve =
      app.add_subcommand("serve", "serve proto/verifier.proto over gRPC until SIGTERM");
  AddServeOptions(serve, &flags);
  CLI::App* grade = app.add_subcommand("grade", "judge JSON lines {id, kind, gold, response}");
  AddFileOptions(grade, &flags);
  AddGraderOptions(grade, &flags);
  CLI::App* call = app.add_subcommand("call", "have a service judge JSON lines, as grade does");
  AddCallOptions(call, &flags);
  CLI11_PARSE(app, argc, argv);

  // What gRPC has to say comes back as a status; GRPC_VERBOSITY=debug shows its own log.
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  const absl::Status status = *serve ? Serve(flags) : *grade ? Grade(flags) : Call(flags);
  if (status.ok()) return 0;
  std::cerr << "ponder-verifier: " << status.message() << std::endl;
  return 1;
}

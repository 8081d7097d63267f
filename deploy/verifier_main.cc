// ponder-verifier: judges answers, as a gRPC service or on a file.
#include <signal.h>
#include <string.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/status.h"
#include "grpc/support/log.h"
#include "verifier/graders.h"
#include "verifier/offline.h"
#include "verifier/server.h"

namespace {

struct Flags {
  ponder::verifier::Server::Options server;
  std::string port_file;
  double grace_seconds = 10;
  std::string in, out = "-";
  int threads = std::max(1u, std::thread::hardware_concurrency());
};

// Serves until SIGTERM or SIGINT.
absl::Status Serve(const Flags& flags) {
  // Blocked before any thread starts, so that only sigwait below gets them.
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);

  ponder::SetLogName("verifier");
  const ponder::verifier::Graders graders = ponder::verifier::MakeGraders();
  ponder::verifier::Server::Options options = flags.server;
  options.workers.threads = flags.threads;
  PONDER_ASSIGN_OR_RETURN(auto server, ponder::verifier::Server::Start(options, graders));
  if (!flags.port_file.empty()) {
    PONDER_RETURN_IF_ERROR(ponder::WriteFileAtomic(flags.port_file, server->address()));
  }
  PONDER_LOG(kInfo, "listening on ", server->address(), " with ", flags.threads, " threads");
  int signal = 0;
  sigwait(&stop, &signal);
  PONDER_LOG(kInfo, strsignal(signal), ": finishing what is in flight");
  server->Shutdown(absl::Seconds(flags.grace_seconds));
  return absl::OkStatus();
}

absl::Status Grade(const Flags& flags) {
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
  PONDER_ASSIGN_OR_RETURN(
      const ponder::verifier::OfflineReport report,
      ponder::verifier::GradeLines(ponder::verifier::MakeGraders(), flags.threads,
                                   flags.in == "-" ? std::cin : in_file,
                                   flags.out == "-" ? std::cout : out_file, std::cerr));
  if (report.broken_lines.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "graded ", report.graded,
      " lines; not graded, because broken: ", absl::StrJoin(report.broken_lines, ", ")));
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  Flags flags;
  CLI::App app("Judges answers, as a gRPC service (serve) or on a file (grade).",
               "ponder-verifier");
  app.require_subcommand(1);
  CLI::App* serve =
      app.add_subcommand("serve", "serve proto/verifier.proto over gRPC until SIGTERM");
  serve->add_option("--listen", flags.server.listen, "host:port; port 0: any free one")
      ->capture_default_str();
  serve->add_option("--port-file", flags.port_file, "write the host:port that is served there");
  serve->add_option("--threads", flags.threads, "threads that judge")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  serve->add_option("--queue", flags.server.workers.queue_capacity, "calls that may wait")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  serve
      ->add_option("--grace", flags.grace_seconds,
                   "seconds to finish what is in flight when stopped")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  CLI::App* grade = app.add_subcommand("grade", "judge JSON lines {id, kind, gold, response}");
  grade->add_option("--in", flags.in, "file of lines; -: standard input")->required();
  grade->add_option("--out", flags.out, "file for the verdicts; -: standard output")
      ->capture_default_str();
  grade->add_option("--threads", flags.threads, "threads that judge")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  // What gRPC has to say comes back as a status; GRPC_VERBOSITY=debug shows its own log.
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  const absl::Status status = *serve ? Serve(flags) : Grade(flags);
  if (status.ok()) return 0;
  std::cerr << "ponder-verifier: " << status.message() << std::endl;
  return 1;
}

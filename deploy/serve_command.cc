// `ponder serve`: a model behind the OpenAI API, until SIGTERM or SIGINT.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actor/server/http_server.h"
#include "actor/server/scoring_server.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "deploy/commands.h"
#include "deploy/model_folder.h"
#include "deploy/stop_signal.h"

namespace ponder::deploy {
namespace {

struct ServeOptions {
  std::string model;
  std::string listen = "127.0.0.1:8000";
  std::string port_file;     // empty: none
  int64_t kv_cache_mib = 0;  // 0: 256, or what the model needs at least
  data::ModelTextOptions text;
  int64_t max_context = 0;  // 0: what the model takes
  actor::HttpServer::Options server;
};

// Says where, and serves until a signal.
template <typename Server>
absl::Status ServeUntilStopped(const ServeOptions& options, Server& server, const char* path) {
  const std::string address = absl::StrCat(options.server.host, ":", server.port());
  if (!options.port_file.empty())
    PONDER_RETURN_IF_ERROR(WriteFileAtomic(options.port_file, address));
  std::printf("serving %s on http://%s%s\n", options.server.served_model.c_str(), address.c_str(),
              path);
  std::fflush(stdout);
  const StopSignal stop([&server] { server.Stop(); });
  server.Wait();
  return absl::OkStatus();
}

absl::Status RunServe(ServeOptions options) {
  BlockStopSignals();
  const size_t colon = options.listen.rfind(':');
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(options.listen.substr(colon + 1), &options.server.port) ||
      options.server.port < 0 || options.server.port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("--listen takes host:port, not '", options.listen, "'"));
  }
  options.server.host = options.listen.substr(0, colon);
  PONDER_ASSIGN_OR_RETURN(OpenedModel opened, OpenModel(options.model, options.text));
  moe::Model& model = opened.model;
  options.server.text = opened.text;
  if (options.max_context > 0) model.config.LimitPositions(options.max_context);
  std::filesystem::path folder = std::filesystem::path(options.model).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  if (options.server.served_model.empty()) options.server.served_model = folder.filename().string();
  actor::Engine::Options& engine = options.server.engine.engine;
  if (model.config.scalar_head) {
    actor::ScoringServer::Options scoring;
    static_cast<actor::ServerOptions&>(scoring) = options.server;
    scoring.threads = engine.threads;
    PONDER_ASSIGN_OR_RETURN(const auto server, actor::ScoringServer::Start(scoring, model));
    return ServeUntilStopped(options, *server, "/pooling");
  }
  engine.kv_cache_mib =
      options.kv_cache_mib > 0
          ? options.kv_cache_mib
          : std::max(engine.kv_cache_mib, actor::Engine::LeastKvCacheMib(model.config));
  PONDER_ASSIGN_OR_RETURN(const auto server, actor::HttpServer::Start(options.server, model));
  return ServeUntilStopped(options, *server, "/v1");
}

}  // namespace

void AddServeCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<ServeOptions>();
  actor::HttpServer::Options& server = options->server;
  actor::Engine::Options& engine = server.engine.engine;
  CLI::App* command = app.add_subcommand(
      "serve", "serve a model over the OpenAI API; a reward model's scores over /pooling");
  command->add_option("--model", options->model, "folder of the model")->required();
  command->add_option("--listen", options->listen, "host:port; port 0: any free one")
      ->capture_default_str();
  command->add_option("--port-file", options->port_file, "write the host:port served there");
  command->add_option("--name", server.served_model,
                      "of the model in the API; without it, its folder's name");
  AddTextOptions(command, &options->text);
  command
      ->add_option("--max-context", options->max_context,
                   "longest prompt and answer together; without it, what the model takes")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 40));
  command->add_option("--threads", engine.threads, "of the computation")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--max-batch", engine.max_batch, "sequences decoded together")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}))
      ->capture_default_str();
  command
      ->add_option("--kv-cache-mib", options->kv_cache_mib,
                   "memory for keys and values; without it, 256 or what one sequence needs")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000000}));
  command
      ->add_option("--max-waiting", server.engine.max_waiting,
                   "sequences that wait for their turn; more are refused with 429")
      ->check(CLI::Range(int64_t{0}, int64_t{1000000}))
      ->capture_default_str();
  command->add_option("--connections", server.connections, "served at once; more wait")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->callback(
      [options, exit_code] { *exit_code = ReportStatus("serve", RunServe(*options)); });
}

}  // namespace ponder::deploy

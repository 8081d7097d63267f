#include "actor/server/scoring_server.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "actor/server/listener.h"
#include "actor/server/openai.h"
#include "base/status.h"
#include "moe/inference.h"
#include "moe/scoring.h"
#include "nlohmann/json.hpp"

namespace ponder::actor {

struct ScoringServer::State {
  State(const Options& o, const moe::ModelConfig& c) : options(o), config(c), pool(o.threads) {}

  void AddRoutes();
  void Score(const httplib::Request& request, httplib::Response& response);

  const Options options;
  const moe::ModelConfig config;
  const int64_t created = absl::ToUnixSeconds(absl::Now());
  kernels::ThreadPool pool;
  absl::Mutex mutex;
  std::unique_ptr<moe::Inference> inference ABSL_PT_GUARDED_BY(mutex);
  std::atomic<int64_t> calls{0}, refused{0}, tokens{0};
  Listener server;  // last: its connections use the others
};

void ScoringServer::State::AddRoutes() {
  server.Get("/v1/models", [this](const httplib::Request&, httplib::Response& response) {
    AnswerJson(ModelsJson(options.served_model, created), response);
  });
  server.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    std::string page;
    AddMetric("scoring_calls_total", "counter", "Calls for scores.", calls, &page);
    AddMetric("scoring_refused_total", "counter", "Calls answered with an error.", refused, &page);
    AddMetric("tokens_scored_total", "counter", "Tokens fed through the model.", tokens, &page);
    response.set_content(page, "text/plain; version=0.0.4");
  });
  server.Post("/pooling",
              [this](const auto& request, auto& response) { Score(request, response); });
}

void ScoringServer::State::Score(const httplib::Request& request, httplib::Response& response) {
  const int64_t number = calls++;
  ScoringCall call;
  const ApiError error =
      ParseScoringCall(request.body, config, options.served_model, *options.text, &call);
  if (!error.ok()) {
    ++refused;
    return Answer(error, response);
  }
  nlohmann::ordered_json data = nlohmann::ordered_json::array();
  for (const std::vector<int32_t>& sequence : call.sequences) {
    absl::MutexLock lock(&mutex);
    const absl::StatusOr<float> score = moe::ScoreSequence(*inference, sequence);
    if (!score.ok()) {
      ++refused;
      return Answer(ToApiError(score.status()), response);
    }
    data.push_back({{"index", data.size()},
                    {"object", "pooling"},
                    {"data", nlohmann::ordered_json::array({*score})}});
  }
  tokens += call.tokens;
  AnswerJson(Dump({{"id", absl::StrCat("pool-", created, "-", number)},
                   {"object", "list"},
                   {"created", absl::ToUnixSeconds(absl::Now())},
                   {"model", options.served_model},
                   {"data", std::move(data)},
                   {"usage", {{"prompt_tokens", call.tokens}, {"total_tokens", call.tokens}}}}),
             response);
}

absl::StatusOr<std::unique_ptr<ScoringServer>> ScoringServer::Start(const Options& options,
                                                                    const moe::Model& model) {
  if (!model.config.scalar_head) {
    return absl::FailedPreconditionError("the model has no scalar head to score with");
  }
  auto state = std::make_unique<State>(options, model.config);
  PONDER_ASSIGN_OR_RETURN(auto packed, moe::PackModel(state->pool, model));
  state->inference = std::make_unique<moe::Inference>(state->pool, std::move(packed));
  state->AddRoutes();
  PONDER_RETURN_IF_ERROR(state->server.Start(options));
  return std::unique_ptr<ScoringServer>(new ScoringServer(std::move(state)));
}

ScoringServer::ScoringServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
ScoringServer::~ScoringServer() = default;

int ScoringServer::port() const { return state_->server.port(); }
void ScoringServer::Wait() { state_->server.Wait(); }
void ScoringServer::Stop() { state_->server.Stop(); }

}  // namespace ponder::actor

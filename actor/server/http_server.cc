#include "actor/server/http_server.h"

#include <atomic>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "actor/server/listener.h"
#include "actor/server/openai.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::actor {
namespace {

using Json = nlohmann::ordered_json;

// How often a connection looks whether its client is still there.
constexpr absl::Duration kLook = absl::Milliseconds(100);

// One call under way: what its connection's thread holds until the answer is out.
struct Reply {
  Call call;
  std::shared_ptr<TokenStream> stream;
  std::vector<Choice> choices;
  std::vector<TokenStream::Event> events;
};

std::string ServerSentEvent(const Json& json) { return absl::StrCat("data: ", Dump(json), "\n\n"); }

// The chunks that `reply` has become good for.
std::string TakeChunks(Reply& reply) {
  std::string out;
  for (size_t i = 0; i < reply.choices.size(); ++i) {
    Json chunk;
    if (!reply.choices[i].TakeChunk(reply.call, static_cast<int64_t>(i), &chunk)) continue;
    Json envelope = Envelope(reply.call, /*chunk=*/true);
    envelope["choices"].push_back(std::move(chunk));
    out += ServerSentEvent(envelope);
  }
  return out;
}

std::string LastChunks(const Reply& reply) {
  std::string out;
  if (reply.call.include_usage) {
    Json envelope = Envelope(reply.call, /*chunk=*/true);
    envelope["usage"] = UsageJson(reply.call, reply.choices);
    out = ServerSentEvent(envelope);
  }
  return out + "data: [DONE]\n\n";
}

std::string WholeAnswer(const Reply& reply) {
  Json envelope = Envelope(reply.call, /*chunk=*/false);
  for (size_t i = 0; i < reply.choices.size(); ++i)
    envelope["choices"].push_back(reply.choices[i].Whole(reply.call, static_cast<int64_t>(i)));
  envelope["usage"] = UsageJson(reply.call, reply.choices);
  return Dump(envelope);
}

}  // namespace

struct HttpServer::State {
  explicit State(const Options& o) : options(o) {}

  void AddRoutes();
  void Complete(Endpoint endpoint, const httplib::Request& request, httplib::Response& response);
  // One turn of the connection's thread. False: the client is gone.
  bool Continue(Reply& reply, httplib::DataSink& sink);
  std::string Metrics() const;

  const Options options;
  const int64_t created = absl::ToUnixSeconds(absl::Now());
  std::unique_ptr<EngineThread> engine;
  Listener server;
  std::atomic<int64_t> calls{0};  // numbers them as well
  std::atomic<int64_t> refused{0}, completed{0}, abandoned{0}, active{0};
};

void HttpServer::State::AddRoutes() {
  server.Get("/v1/models", [this](const httplib::Request&, httplib::Response& response) {
    AnswerJson(ModelsJson(options.served_model, created), response);
  });
  server.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(Metrics(), "text/plain; version=0.0.4");
  });
  server.Post("/v1/chat/completions", [this](const auto& request, auto& response) {
    Complete(Endpoint::kChat, request, response);
  });
  server.Post("/v1/completions", [this](const auto& request, auto& response) {
    Complete(Endpoint::kCompletions, request, response);
  });
}

void HttpServer::State::Complete(Endpoint endpoint, const httplib::Request& request,
                                 httplib::Response& response) {
  const int64_t number = calls++;
  auto reply = std::make_shared<Reply>();
  Call& call = reply->call;
  call.text = options.text;
  std::random_device random;
  const uint64_t random_seed = (uint64_t{random()} << 32) | random();
  ApiError error =
      ParseCall(request.body, endpoint, engine->config(), options.served_model, random_seed, &call);
  if (error.ok()) {
    reply->choices.assign(call.requests.size(), Choice(call));
    auto stream = engine->Submit(std::move(call.requests));
    if (stream.ok()) {
      reply->stream = *std::move(stream);
    } else {
      error = ToApiError(stream.status());
    }
  }
  if (!error.ok()) {
    ++refused;
    return Answer(error, response);
  }
  call.id = absl::StrCat(endpoint == Endpoint::kChat ? "chatcmpl-" : "cmpl-", created, "-", number);
  call.created = absl::ToUnixSeconds(absl::Now());
  ++active;
  response.set_header("Cache-Control", "no-cache");
  // A whole answer goes out through a provider as well: only there is it seen that the client left.
  response.set_chunked_content_provider(
      call.stream ? "text/event-stream" : "application/json",
      [this, reply](size_t, httplib::DataSink& sink) { return Continue(*reply, sink); },
      [this, reply](bool success) {
        engine->Cancel(reply->stream);  // of no effect once all is generated
        --active;
        ++(success ? completed : abandoned);
      });
}

bool HttpServer::State::Continue(Reply& reply, httplib::DataSink& sink) {
  const bool more = reply.stream->Next(kLook, &reply.events);
  for (const TokenStream::Event& event : reply.events)
    reply.choices[static_cast<size_t>(event.sequence)].Push(event);
  std::string out;
  if (reply.call.stream) out = TakeChunks(reply);
  if (!more) out += reply.call.stream ? LastChunks(reply) : WholeAnswer(reply);
  if (out.empty()) return sink.is_writable();
  if (!sink.write(out.data(), out.size())) return false;
  if (!more) sink.done();
  return true;
}

std::string HttpServer::State::Metrics() const {
  const Engine::Stats stats = engine->stats();
  std::string out;
  const auto add = [&out](const char* name, const char* type, const char* help, int64_t value) {
    AddMetric(name, type, help, value, &out);
  };
  add("http_calls_total", "counter", "Calls for completions.", calls);
  add("http_refused_total", "counter", "Calls answered with an error.", refused);
  add("http_completed_total", "counter", "Calls answered in full.", completed);
  add("http_abandoned_total", "counter", "Calls whose client went away.", abandoned);
  add("http_active", "gauge", "Calls being answered.", active);
  add("sequences_running", "gauge", "Sequences in the batch.", stats.running);
  add("sequences_waiting", "gauge", "Sequences that wait for a place or for memory.",
      stats.waiting);
  add("kv_pages", "gauge", "Pages of the KV cache.", stats.pages);
  add("kv_pages_in_use", "gauge", "Pages that sequences hold.", stats.pages_in_use);
  add("tokens_generated_total", "counter", "Tokens drawn.", stats.tokens_generated);
  add("tokens_fed_total", "counter", "Tokens fed through the model.", stats.tokens_fed);
  add("tokens_shared_total", "counter", "Tokens whose keys and values were at hand.",
      stats.tokens_shared);
  add("preemptions_total", "counter", "Sequences that gave up their pages.", stats.preemptions);
  add("engine_steps_total", "counter", "Forward passes.", stats.steps);
  return out;
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const Options& options,
                                                              const moe::Model& model) {
  auto state = std::make_unique<State>(options);
  EngineThread::Options engine = options.engine;
  engine.engine.token_text = [text = options.text](int32_t token) {
    return text->TokenBytes(token);
  };
  PONDER_ASSIGN_OR_RETURN(state->engine, EngineThread::Start(engine, model));
  state->AddRoutes();
  PONDER_RETURN_IF_ERROR(state->server.Start(options));
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  Stop();
  Wait();
}

int HttpServer::port() const { return state_->server.port(); }
Engine::Stats HttpServer::stats() const { return state_->engine->stats(); }

void HttpServer::Stop() {
  state_->engine->Stop();
  state_->server.Stop();
}

void HttpServer::Wait() { state_->server.Wait(); }

}  // namespace ponder::actor

// The server over real connections, against the engine alone.
#include "actor/server/http_server.h"

#include <httplib.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "actor/server/text_stream.h"
#include "base/steady_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/moe/reference_decoder.h"
#include "tests/moe/tiny_config.h"

namespace ponder::actor {
namespace http_server_test {

using ::testing::HasSubstr;
using Json = nlohmann::json;

// The data of server-sent events.
std::vector<Json> Events(const std::string& body, bool* done) {
  std::vector<Json> events;
  *done = false;
  for (const absl::string_view line : absl::StrSplit(body, "\n\n", absl::SkipEmpty())) {
    EXPECT_TRUE(absl::StartsWith(line, "data: ")) << line;
    if (line == "data: [DONE]") {
      *done = true;
    } else {
      events.push_back(Json::parse(line.substr(6)));
    }
  }
  return events;
}

class HttpServerTest : public ::testing::Test {
 protected:
  void Start(const std::function<void(HttpServer::Options&)>& change = [](auto&) {}) {
    HttpServer::Options options;
    options.served_model = "tiny";
    options.engine.engine.kv_cache_mib = 4;
    options.engine.engine.max_batch = 16;
    change(options);
    auto server = HttpServer::Start(options, model_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  httplib::Client Connect() const {
    httplib::Client client("127.0.0.1", server_->port());
    client.set_read_timeout(120);
    return client;
  }
  httplib::Result Post(const std::string& path, const std::string& body) const {
    return Connect().Post(path.c_str(), body, "application/json");
  }
  Json Ask(const std::string& path, const Json& call) const {
    const auto result = Post(path, call.dump());
    EXPECT_TRUE(result) << httplib::to_string(result.error());
    if (!result) return {};
    EXPECT_EQ(result->status, 200) << result->body;
    return Json::parse(result->body);
  }
  // What the engine alone makes of a call's choice.
  Engine::Finished Alone(std::vector<int32_t> prompt, int64_t choice, uint64_t seed,
                         int64_t max_tokens) const {
    Engine::Options options;
    options.kv_cache_mib = 4;
    auto engine = *Engine::Make(options, model_, 0);
    Engine::Request request;
    request.key = {"anything", choice};
    request.random_stream = "serve";
    request.prompt_tokens = std::move(prompt);
    request.max_new_tokens = max_tokens;
    request.seed = seed;
    request.eos_tokens = {256};
    return (*GenerateAll(*engine, {request}))[0];
  }
  static std::string TextOf(const std::vector<int32_t>& tokens) {
    std::string bytes;
    for (const int32_t token : tokens) bytes += data::ByteText()->TokenBytes(token);
    return ToUtf8(bytes);
  }
  std::string Metric(const std::string& name) const {
    const std::string body = Connect().Get("/metrics")->body;
    for (const absl::string_view line : absl::StrSplit(body, '\n')) {
      if (absl::StartsWith(line, name + " ")) return std::string(line.substr(name.size() + 1));
    }
    return "none";
  }

  const moe::Model model_ = moe::RandomModel(moe::TinyByteConfig(256), 7);
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, CompletionsAreTheEnginesOwn) {
  Start();
  const Json answer = Ask("/v1/completions", {{"model", "tiny"},
                                              {"prompt", {"one", "another"}},
                                              {"n", 2},
                                              {"seed", 5},
                                              {"max_tokens", 40},
                                              {"logprobs", 2}});
  ASSERT_EQ(answer["choices"].size(), 4u);
  int64_t tokens = 0;
  for (int64_t i = 0; i < 4; ++i) {
    // The four choices of a call are four samples.
    const auto alone = Alone(*data::ByteText()->EncodeText(i < 2 ? "one" : "another"), i, 5, 40);
    const Json& choice = answer["choices"][static_cast<size_t>(i)];
    EXPECT_EQ(choice["text"], TextOf(alone.tokens));
    EXPECT_EQ(choice["finish_reason"],
              alone.stop_reason == StopReason::kLength ? "length" : "stop");
    EXPECT_EQ(choice["logprobs"]["token_logprobs"].get<std::vector<float>>(), alone.logprobs);
    EXPECT_EQ(choice["logprobs"]["top_logprobs"].size(), alone.tokens.size());
    tokens += static_cast<int64_t>(alone.tokens.size());
  }
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 3 + 7);
  EXPECT_EQ(answer["usage"]["completion_tokens"], tokens);
  EXPECT_EQ(answer["object"], "text_completion");
}

TEST_F(HttpServerTest, AStreamIsTheWholeAnswerInPieces) {
  Start();
  Json call = {{"messages", {{{"role", "user"}, {"content", "12+30=?"}}}},
               {"n", 3},
               {"seed", 11},
               {"max_tokens", 120},
               {"logprobs", true},
               {"top_logprobs", 3}};
  const Json whole = Ask("/v1/chat/completions", call);
  call["stream"] = true;
  call["stream_options"] = {{"include_usage", true}};
  const auto result = Post("/v1/chat/completions", call.dump());
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("Content-Type"), "text/event-stream");
  bool done = false;
  const std::vector<Json> events = Events(result->body, &done);
  EXPECT_TRUE(done);
  std::map<int64_t, std::string> content, thought, finish;
  std::map<int64_t, Json> logprobs;
  for (const Json& event : events) {
    EXPECT_EQ(event["object"], "chat.completion.chunk");
    for (const Json& choice : event["choices"]) {
      const int64_t index = choice["index"];
      content[index] += choice["delta"].value("content", "");
      thought[index] += choice["delta"].value("reasoning_content", "");
      for (const Json& token : choice["logprobs"]["content"]) logprobs[index].push_back(token);
      if (choice["finish_reason"].is_string()) finish[index] = choice["finish_reason"];
    }
  }
  EXPECT_EQ(events.back()["usage"], whole["usage"]);
  for (int64_t i = 0; i < 3; ++i) {
    const Json& choice = whole["choices"][static_cast<size_t>(i)];
    EXPECT_EQ(content[i], choice["message"]["content"]);
    EXPECT_EQ(thought[i], choice["message"].value("reasoning_content", ""));
    EXPECT_EQ(finish[i], choice["finish_reason"]);
    EXPECT_EQ(logprobs[i], choice["logprobs"]["content"]);
    EXPECT_EQ(choice["logprobs"]["content"][0]["top_logprobs"].size(), 3u);
  }
}

TEST_F(HttpServerTest, StopsAtStopStringsAndForcesThoughtsToEnd) {
  Start();
  const Json plain = {{"prompt", "abc"}, {"seed", 3}, {"max_tokens", 60}, {"ignore_eos", true}};
  const std::string text = Ask("/v1/completions", plain)["choices"][0]["text"];
  // A stop string of printable characters out of the middle.
  std::string stop;
  for (size_t i = 5; i + 1 < text.size() && stop.empty(); ++i) {
    if (text[i] > ' ' && text[i] < 127 && text[i + 1] > ' ' && text[i + 1] < 127)
      stop = text.substr(i, 2);
  }
  ASSERT_FALSE(stop.empty()) << text;
  Json call = plain;
  call["stop"] = {stop, "never"};
  const Json stopped = Ask("/v1/completions", call);
  EXPECT_EQ(stopped["choices"][0]["text"], text.substr(0, text.find(stop)));
  EXPECT_EQ(stopped["choices"][0]["finish_reason"], "stop");
  EXPECT_LT(stopped["usage"]["completion_tokens"], 60);

  const Json thought = Ask("/v1/chat/completions",
                           {{"messages", {{{"role", "user"}, {"content", "x"}}}},
                            {"seed", 3},
                            {"max_tokens", 30},
                            {"ignore_eos", true},
                            {"logprobs", true},
                            {"logit_bias", {{"257", 100}}},  // opens a thought again and again
                            {"max_thinking_tokens", 0}});
  EXPECT_EQ(thought["choices"][0]["logprobs"]["content"][1]["token"], "</think>");
}

TEST_F(HttpServerTest, BadCallsGetAMessage) {
  Start([](HttpServer::Options& options) { options.max_body = 100000; });
  const auto expect = [&](const std::string& path, const std::string& body, int status,
                          const std::string& message) {
    const auto result = Post(path, body);
    ASSERT_TRUE(result) << body.substr(0, 100);
    EXPECT_EQ(result->status, status) << body.substr(0, 100) << " -> " << result->body;
    const Json json = Json::parse(result->body, nullptr, false);
    ASSERT_TRUE(json.is_object() && json.contains("error")) << result->body;
    EXPECT_THAT(json["error"]["message"].get<std::string>(), HasSubstr(message));
    EXPECT_TRUE(json["error"]["type"].is_string());
  };
  const std::string chat = "/v1/chat/completions", text = "/v1/completions";
  const auto with = [](const std::string& more) {
    return absl::StrCat(R"({"messages":[{"role":"user","content":"x"}])", more, "}");
  };
  expect(chat, "{", 400, "JSON");
  expect(chat, "", 400, "JSON");
  expect(chat, "\xFF\xFE", 400, "JSON");
  expect(chat, std::string(50000, '['), 400, "JSON");
  expect(chat, "[]", 400, "object");
  expect(chat, "{}", 400, "messages");
  expect(chat, R"({"messages":"hello"})", 400, "messages");
  expect(chat, R"({"messages":[]})", 400, "messages");
  expect(chat, R"({"messages":[7]})", 400, "message 0");
  expect(chat, R"({"messages":[{"role":"user"}]})", 400, "message 0");
  expect(chat, R"({"messages":[{"role":"robot","content":"x"}]})", 400, "role");
  expect(chat, with(R"(,"model":"other")"), 404, "'tiny'");
  expect(chat, with(R"(,"model":5)"), 400, "model");
  expect(chat, with(R"(,"temperature":"hot")"), 400, "temperature");
  expect(chat, with(R"(,"temperature":-1)"), 400, "temperature");
  expect(chat, with(R"(,"temperature":1e999)"), 400, "");
  expect(chat, with(R"(,"top_p":0)"), 400, "top_p");
  expect(chat, with(R"(,"top_k":1.5)"), 400, "top_k");
  expect(chat, with(R"(,"n":0)"), 400, "n");
  expect(chat, with(R"(,"n":1000000000)"), 400, "n");
  expect(chat, with(R"(,"n":18446744073709551615)"), 400, "n");
  expect(chat, with(R"(,"max_tokens":0)"), 400, "max_tokens");
  expect(chat, with(R"(,"max_tokens":100000)"), 400, "context");
  expect(chat, with(R"(,"max_completion_tokens":1e18)"), 400, "max_completion_tokens");
  expect(chat, with(R"(,"stream":"yes")"), 400, "stream");
  expect(chat, with(R"(,"stop":["a",1])"), 400, "stop");
  expect(chat, with(R"(,"stop":"")"), 400, "stop");
  expect(chat, with(R"(,"top_logprobs":2)"), 400, "logprobs");
  expect(chat, with(R"(,"logprobs":true,"top_logprobs":21)"), 400, "top_logprobs");
  expect(chat, with(R"(,"logit_bias":{"x":1})"), 400, "logit_bias");
  expect(chat, with(R"(,"logit_bias":{"100000":1})"), 400, "logit_bias");
  expect(chat, with(R"(,"seed":1.5)"), 400, "seed");
  expect(chat, with(R"(,"tools":[])"), 400, "tools");
  expect(chat, with(R"(,"response_format":{"type":"json_object"})"), 400, "response_format");
  expect(chat, with(R"(,"presence_penalty":1)"), 400, "presence_penalty");
  expect(text, "{}", 400, "prompt");
  expect(text, R"({"prompt":""})", 400, "prompt");
  expect(text, R"({"prompt":[1,-5]})", 400, "prompt");
  expect(text, R"({"prompt":[1,5000000]})", 400, "vocabulary");
  expect(text, R"({"prompt":{"a":1}})", 400, "prompt");
  expect(text, absl::StrCat(R"({"prompt":")", std::string(5000, 'x'), "\"}"), 400, "context");
  expect(text, absl::StrCat(R"({"prompt":")", std::string(200000, 'x'), "\"}"), 413, "large");
  expect("/v1/nothing", "{}", 404, "/v1/nothing");
  EXPECT_EQ(Metric("ponder_sequences_running"), "0");
  const Json fine = Ask(chat, Json::parse(with(R"(,"max_tokens":4,"stop":null,"user":"me")")));
  EXPECT_EQ(fine["choices"].size(), 1u);
}

TEST_F(HttpServerTest, TellsHealthModelsAndMetrics) {
  Start();
  auto client = Connect();
  EXPECT_EQ(client.Get("/health")->status, 200);
  EXPECT_EQ(Json::parse(client.Get("/v1/models")->body)["data"][0]["id"], "tiny");
  Ask("/v1/completions", {{"prompt", "x"}, {"max_tokens", 8}, {"ignore_eos", true}});
  EXPECT_EQ(Metric("ponder_tokens_generated_total"), "8");
  // Counted when the connection's thread has sent all of it, which the client may see earlier.
  const absl::Time give_up = SteadyNow() + absl::Minutes(1);
  while (Metric("ponder_http_completed_total") != "1" && SteadyNow() < give_up) {
    std::this_thread::yield();
  }
  EXPECT_EQ(Metric("ponder_http_completed_total"), "1");
}

TEST_F(HttpServerTest, RefusesWhenTooManyWait) {
  Start([](HttpServer::Options& options) { options.engine.max_waiting = 2; });
  const auto result = Post("/v1/completions", R"({"prompt":"x","n":3})");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 429) << result->body;
  EXPECT_TRUE(result->has_header("Retry-After"));
}

// 64 clients that stream beside others that hang up in the middle: every one that stays gets its
// complete answer, and nothing of the others is left. PONDER_DISCONNECTS changes how many.
TEST_F(HttpServerTest, ClientsThatGoAwayHarmNobody) {
  const char* text = std::getenv("PONDER_DISCONNECTS");
  int disconnects = 0;
  if (text == nullptr || !absl::SimpleAtoi(text, &disconnects)) disconnects = 60;
  Start([](HttpServer::Options& options) {
    options.engine.engine.kv_cache_mib = 1;
    options.connections = 96;
  });
  const Json body = {{"prompt", "a"}, {"max_tokens", 200}, {"ignore_eos", true}, {"stream", true}};
  std::atomic<int> complete{0}, hung_up{0}, next{0};
  std::vector<std::string> answers(64);
  std::vector<std::thread> threads;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&, i] {
      Json call = body;
      call["seed"] = i;
      const auto result = Post("/v1/completions", call.dump());
      if (!result) return;
      bool done = false;
      std::string shown;
      for (const Json& event : Events(result->body, &done)) {
        for (const Json& choice : event["choices"]) shown += choice["text"];
      }
      answers[static_cast<size_t>(i)] = shown;
      complete += done;
    });
  }
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      while (next++ < disconnects) {
        auto client = Connect();
        httplib::Request request;
        request.method = "POST";
        request.path = "/v1/completions";
        request.body = body.dump();
        request.set_header("Content-Type", "application/json");
        // The first bytes of the answer, then gone.
        request.content_receiver = [](const char*, size_t, uint64_t, uint64_t) { return false; };
        hung_up += !client.send(request);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(complete, 64);
  EXPECT_EQ(hung_up, disconnects);
  const absl::Time give_up = SteadyNow() + absl::Minutes(1);
  while (server_->stats().pages_in_use > 0 && SteadyNow() < give_up) std::this_thread::yield();
  EXPECT_EQ(server_->stats().pages_in_use, 0);
  EXPECT_EQ(server_->stats().running + server_->stats().waiting, 0);
  for (int i = 0; i < 64; i += 9) {
    const Json alone = {{"prompt", "a"}, {"max_tokens", 200}, {"ignore_eos", true}, {"seed", i}};
    EXPECT_EQ(Ask("/v1/completions", alone)["choices"][0]["text"], answers[static_cast<size_t>(i)]);
  }
}

}  // namespace http_server_test
}  // namespace ponder::actor

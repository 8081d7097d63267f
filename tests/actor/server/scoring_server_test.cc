// A reward model behind HTTP, against the forward pass alone.
#include "actor/server/scoring_server.h"

#include <httplib.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "data/chat_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "moe/inference.h"
#include "moe/scoring.h"
#include "nlohmann/json.hpp"
#include "tests/moe/reference_decoder.h"
#include "tests/moe/tiny_config.h"

namespace ponder::actor {
namespace scoring_server_test {

using ::testing::HasSubstr;
using Json = nlohmann::json;

moe::Model RewardModel() {
  moe::ModelConfig config = moe::TinyByteConfig(128);
  config.scalar_head = true;
  return moe::RandomModel(config, 9);
}

class ScoringServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ScoringServer::Options options;
    options.served_model = "rm";
    auto server = ScoringServer::Start(options, model_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  httplib::Result Post(const Json& call) const {
    httplib::Client client("127.0.0.1", server_->port());
    client.set_read_timeout(120);
    return client.Post("/pooling", call.dump(), "application/json");
  }
  // The scores of a call that is answered.
  std::vector<float> Ask(const Json& call) const {
    const auto result = Post(call);
    EXPECT_TRUE(result) << httplib::to_string(result.error());
    if (!result) return {};
    EXPECT_EQ(result->status, 200) << result->body;
    std::vector<float> scores;
    const Json reply = Json::parse(result->body);
    for (const Json& one : reply["data"]) {
      EXPECT_EQ(one["object"], "pooling");
      EXPECT_EQ(one["index"], scores.size());
      scores.push_back(one["data"][0]);
    }
    return scores;
  }
  float Alone(const std::vector<int32_t>& ids) const {
    kernels::ThreadPool pool(1);
    moe::Inference inference(pool, *moe::PackModel(pool, model_));
    return *moe::ScoreSequence(inference, ids);
  }

  const moe::Model model_ = RewardModel();
  std::unique_ptr<ScoringServer> server_;
};

TEST_F(ScoringServerTest, ScoresTheAssistantsTurnAsItWasTrained) {
  std::vector<int32_t> ids = *data::EncodeChat({{"user", "1+1=?"}}, "");
  const std::vector<int32_t> trace = data::EncodeTrace("", "2");
  ids.insert(ids.end(), trace.begin(), trace.end());
  const Json question = {{"role", "user"}, {"content", "1+1=?"}};
  for (const char* response : {"2", "<think>1+1</think>2"}) {
    EXPECT_EQ(Ask({{"model", "rm"},
                   {"messages", {question, {{"role", "assistant"}, {"content", response}}}}}),
              std::vector<float>{Alone(ids)})
        << response;
  }
  EXPECT_EQ(Ask({{"input", ids}}), std::vector<float>{Alone(ids)});
  EXPECT_EQ(Ask({{"input", {ids, {1, 2, 3}}}}), (std::vector<float>{Alone(ids), Alone({1, 2, 3})}));
}

TEST_F(ScoringServerTest, SaysWhatIsWrongWithACall) {
  const auto refused = [&](const Json& call, int status) {
    const auto result = Post(call);
    EXPECT_TRUE(result);
    EXPECT_EQ(result->status, status) << result->body;
    return Json::parse(result->body)["error"]["message"].get<std::string>();
  };
  EXPECT_THAT(refused({{"messages", {{{"role", "user"}, {"content", "hm"}}}}}, 400),
              HasSubstr("must end with the assistant's turn"));
  EXPECT_THAT(refused(Json::object(), 400), HasSubstr("input"));
  EXPECT_THAT(refused({{"input", {1}}, {"model", "other"}}, 404), HasSubstr("'rm' is"));
  EXPECT_THAT(refused({{"input", std::vector<int32_t>(129, 1)}}, 400), HasSubstr("128 tokens"));
  EXPECT_THAT(refused({{"input", {1, 1000}}}, 400), HasSubstr("outside the vocabulary"));
}

TEST_F(ScoringServerTest, ManyAskAtOnce) {
  std::vector<std::thread> callers;
  for (int32_t i = 0; i < 8; ++i) {
    callers.emplace_back([this, i] {
      for (int32_t n = 0; n < 5; ++n)
        EXPECT_EQ(Ask({{"input", {i, n, 3}}}), std::vector<float>{Alone({i, n, 3})});
    });
  }
  for (std::thread& caller : callers) caller.join();
  httplib::Client client("127.0.0.1", server_->port());
  EXPECT_THAT(client.Get("/metrics")->body, HasSubstr("ponder_tokens_scored_total 120\n"));
}

TEST(ScoringServer, WantsAScalarHead) {
  moe::Model policy = RewardModel();
  policy.config.scalar_head = false;
  EXPECT_EQ(ScoringServer::Start({}, policy).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace scoring_server_test
}  // namespace ponder::actor

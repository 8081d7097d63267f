// The OpenAI API as JSON: what a call asks for, and how answers look. Pure functions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "actor/engine/engine.h"
#include "actor/server/engine_thread.h"
#include "actor/server/text_stream.h"
#include "data/model_text.h"
#include "moe/model_config.h"
#include "nlohmann/json_fwd.hpp"

namespace ponder::actor {

// What is wrong with a call.
struct ApiError {
  int http_status = 0;  // 0: nothing
  std::string message;
  std::string param;  // the field at fault; empty: none
  bool ok() const { return http_status == 0; }
};
std::string ErrorJson(const ApiError& error);
ApiError ToApiError(const absl::Status& status);

enum class Endpoint { kChat, kCompletions };

// A call to /v1/chat/completions or /v1/completions. A value.
struct Call {
  Endpoint endpoint = Endpoint::kChat;
  std::string id;     // of the answer
  std::string model;  // its name, as served
  int64_t created = 0;
  bool stream = false;
  bool include_usage = false;
  bool logprobs = false;
  std::vector<std::string> stop_strings;
  int64_t prompt_tokens = 0;                    // of all prompts
  std::shared_ptr<const data::ModelText> text;  // of the model
  // One a choice: sample j of prompt i at i * n + j.
  std::vector<Engine::Request> requests;
};

// Reads the body of a call, whose `text` is set. `random_seed` is used where the body has none.
ApiError ParseCall(absl::string_view body, Endpoint endpoint, const moe::ModelConfig& config,
                   const std::string& served_model, uint64_t random_seed, Call* call);

// A call to /pooling: chats that end with the assistant's turn ("messages"), or texts or token ids
// as they are ("input"), each as the tokens that a reward model reads.
struct ScoringCall {
  std::vector<std::vector<int32_t>> sequences;
  int64_t tokens = 0;  // of all
};
ApiError ParseScoringCall(absl::string_view body, const moe::ModelConfig& config,
                          const std::string& served_model, const data::ModelText& text,
                          ScoringCall* call);

// A choice in the making: its text, its log-probs, its end. A value.
struct Choice {
  explicit Choice(const Call& call);

  void Push(const TokenStream::Event& event);
  // Nothing more of it would be said.
  bool ended() const { return ended_; }
  // What has come since the last call, as JSON; false: nothing worth a chunk.
  bool TakeChunk(const Call& call, int64_t index, nlohmann::ordered_json* chunk);
  // The whole, once it has ended; TakeChunk has not been called.
  nlohmann::ordered_json Whole(const Call& call, int64_t index) const;

  int64_t tokens = 0;

 private:
  nlohmann::ordered_json LogprobsJson(const Call& call) const;
  nlohmann::ordered_json TokenJson(int32_t token, float logprob) const;

  std::shared_ptr<const data::ModelText> model_text_;
  TextStream text_;
  TextStream::Delta delta_;
  std::vector<TokenStream::Event> logprobs_;
  bool began_ = false, ended_ = false;
  StopReason stop_reason_ = StopReason::kEndOfSequence;
};

// The object around choices: a whole answer, or a chunk of a stream.
nlohmann::ordered_json Envelope(const Call& call, bool chunk);
nlohmann::ordered_json UsageJson(const Call& call, absl::Span<const Choice> choices);
std::string ModelsJson(const std::string& served_model, int64_t created);
// Compact, whatever bytes its strings hold.
std::string Dump(const nlohmann::ordered_json& json);

}  // namespace ponder::actor

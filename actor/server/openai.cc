// How answers look.
#include "actor/server/openai.h"

#include "nlohmann/json.hpp"

namespace ponder::actor {
namespace {

using Json = nlohmann::ordered_json;

Json OrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

const char* FinishReason(StopReason reason) {
  switch (reason) {
    case StopReason::kEndOfSequence:
    case StopReason::kStop:
      return "stop";
    case StopReason::kLength:
      return "length";
    case StopReason::kCancelled:
      return "cancelled";
  }
  return "cancelled";
}

}  // namespace

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string ErrorJson(const ApiError& error) {
  const char* type = error.http_status == 429   ? "rate_limit_error"
                     : error.http_status >= 500 ? "server_error"
                                                : "invalid_request_error";
  return Dump({{"error",
                {{"message", error.message},
                 {"type", type},
                 {"param", OrNull(error.param)},
                 {"code", nullptr}}}});
}

ApiError ToApiError(const absl::Status& status) {
  const int http_status = absl::IsInvalidArgument(status)     ? 400
                          : absl::IsResourceExhausted(status) ? 429
                          : absl::IsUnavailable(status)       ? 503
                                                              : 500;
  return {http_status, std::string(status.message()), ""};
}

Choice::Choice(const Call& call)
    : model_text_(call.text),
      text_(call.text, call.stop_strings, /*split_thought=*/call.endpoint == Endpoint::kChat) {}

void Choice::Push(const TokenStream::Event& event) {
  TextStream::Delta more;
  if (event.end) {
    ended_ = true;
    stop_reason_ = event.stop_reason;
    more = text_.Rest();
  } else {
    ++tokens;
    more = text_.Push(event.token);
    logprobs_.push_back(event);
  }
  delta_.thought += more.thought;
  delta_.answer += more.answer;
}

Json Choice::TokenJson(int32_t token, float logprob) const {
  const std::string bytes = model_text_->TokenName(token);
  Json list = Json::array();
  for (const char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
  return {{"token", ToUtf8(bytes)}, {"logprob", logprob}, {"bytes", std::move(list)}};
}

Json Choice::LogprobsJson(const Call& call) const {
  if (!call.logprobs) return nullptr;
  if (call.endpoint == Endpoint::kChat) {
    Json content = Json::array();
    for (const TokenStream::Event& event : logprobs_) {
      Json token = TokenJson(event.token, event.logprob);
      token["top_logprobs"] = Json::array();
      for (const auto& [other, logprob] : event.top)
        token["top_logprobs"].push_back(TokenJson(other, logprob));
      content.push_back(std::move(token));
    }
    return {{"content", std::move(content)}};
  }
  Json tokens = Json::array(), values = Json::array(), top = Json::array();
  for (const TokenStream::Event& event : logprobs_) {
    tokens.push_back(ToUtf8(model_text_->TokenName(event.token)));
    values.push_back(event.logprob);
    Json best = Json::object();
    for (const auto& [other, logprob] : event.top)
      best[ToUtf8(model_text_->TokenName(other))] = logprob;
    top.push_back(std::move(best));
  }
  return {{"tokens", std::move(tokens)},
          {"token_logprobs", std::move(values)},
          {"top_logprobs", std::move(top)}};
}

bool Choice::TakeChunk(const Call& call, int64_t index, Json* chunk) {
  const bool news = !delta_.empty() || (call.logprobs && !logprobs_.empty()) || ended_ || !began_;
  if (!news) {
    logprobs_.clear();
    return false;
  }
  *chunk = {{"index", index}};
  if (call.endpoint == Endpoint::kChat) {
    Json delta = Json::object();
    if (!began_) delta["role"] = "assistant";
    if (!delta_.thought.empty()) delta["reasoning_content"] = delta_.thought;
    if (!delta_.answer.empty()) delta["content"] = delta_.answer;
    (*chunk)["delta"] = std::move(delta);
  } else {
    (*chunk)["text"] = delta_.answer;
  }
  (*chunk)["logprobs"] = LogprobsJson(call);
  (*chunk)["finish_reason"] = ended_ ? Json(FinishReason(stop_reason_)) : Json();
  began_ = true;
  delta_ = {};
  logprobs_.clear();
  return true;
}

Json Choice::Whole(const Call& call, int64_t index) const {
  Json choice = {{"index", index}};
  if (call.endpoint == Endpoint::kChat) {
    Json message = {{"role", "assistant"}, {"content", delta_.answer}};
    if (!delta_.thought.empty()) message["reasoning_content"] = delta_.thought;
    choice["message"] = std::move(message);
  } else {
    choice["text"] = delta_.answer;
  }
  choice["logprobs"] = LogprobsJson(call);
  choice["finish_reason"] = FinishReason(stop_reason_);
  return choice;
}

Json Envelope(const Call& call, bool chunk) {
  const char* object = call.endpoint == Endpoint::kCompletions ? "text_completion"
                       : chunk                                 ? "chat.completion.chunk"
                                                               : "chat.completion";
  return {{"id", call.id},
          {"object", object},
          {"created", call.created},
          {"model", call.model},
          {"choices", Json::array()}};
}

Json UsageJson(const Call& call, absl::Span<const Choice> choices) {
  int64_t tokens = 0;
  for (const Choice& choice : choices) tokens += choice.tokens;
  return {{"prompt_tokens", call.prompt_tokens},
          {"completion_tokens", tokens},
          {"total_tokens", call.prompt_tokens + tokens}};
}

std::string ModelsJson(const std::string& served_model, int64_t created) {
  return Dump({{"object", "list"},
               {"data", Json::array({Json{{"id", served_model},
                                          {"object", "model"},
                                          {"created", created},
                                          {"owned_by", "ponder"}}})}});
}

}  // namespace ponder::actor

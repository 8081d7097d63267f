// Reading a call: every field is checked; what is known but not served is refused by name.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actor/server/openai.h"
#include "data/dialogue_file.h"
#include "nlohmann/json.hpp"

namespace ponder::actor {
namespace {

constexpr int64_t kMaxChoices = 128;
constexpr int64_t kMaxTopLogprobs = 20;
constexpr size_t kMaxStops = 16;
constexpr size_t kMaxStopBytes = 1024;
constexpr size_t kMaxBias = 1024;
constexpr int64_t kDefaultCompletionTokens = 16;

ApiError Bad(const std::string& param, const std::string& message) {
  return {400, absl::StrCat(param, ": ", message), param};
}

// Reads fields of an object; remembers the first that is wrong. null is as good as absent.
class Fields {
 public:
  explicit Fields(const nlohmann::json& object) : object_(object) {}

  const nlohmann::json* Find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  int64_t Integer(const char* name, int64_t otherwise, int64_t low, int64_t high) {
    const nlohmann::json* value = Find(name);
    if (value == nullptr) return otherwise;
    const bool fits =
        value->is_number_unsigned()
            ? value->get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())
            : value->is_number_integer();
    if (!fits || value->get<int64_t>() < low || value->get<int64_t>() > high)
      return Fail(name, absl::StrCat("must be an integer from ", low, " to ", high)), otherwise;
    return value->get<int64_t>();
  }
  float Number(const char* name, float otherwise, double low, double high) {
    const nlohmann::json* value = Find(name);
    if (value == nullptr) return otherwise;
    if (!value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high))
      return Fail(name, absl::StrCat("must be a number from ", low, " to ", high)), otherwise;
    return value->get<float>();
  }
  bool Bool(const char* name, bool otherwise) {
    const nlohmann::json* value = Find(name);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) return Fail(name, "must be true or false"), otherwise;
    return value->get<bool>();
  }
  void Fail(const std::string& name, const std::string& message) {
    if (error_.ok()) error_ = Bad(name, message);
  }
  const ApiError& error() const { return error_; }

 private:
  const nlohmann::json& object_;
  ApiError error_;
};

void RefuseWhatIsNotServed(Fields& fields) {
  for (const char* name :
       {"tools", "functions", "tool_choice", "function_call", "suffix", "audio"}) {
    if (fields.Find(name) != nullptr) fields.Fail(name, "is not supported");
  }
  for (const char* name : {"presence_penalty", "frequency_penalty"}) {
    if (fields.Number(name, 0, -2, 2) != 0)
      fields.Fail(name, "is not supported; repetition_penalty is");
  }
  if (fields.Bool("echo", false)) fields.Fail("echo", "is not supported");
  const int64_t n = fields.Integer("n", 1, 1, kMaxChoices);
  if (fields.Integer("best_of", n, 1, kMaxChoices) != n)
    fields.Fail("best_of", "other than n is not supported");
  if (const nlohmann::json* format = fields.Find("response_format")) {
    if (!format->is_object() || format->value("type", nlohmann::json()) != nlohmann::json("text"))
      fields.Fail("response_format", "only {\"type\": \"text\"} is supported");
  }
}

kernels::SamplingOptions ReadSampling(Fields& fields) {
  kernels::SamplingOptions sampling;
  sampling.temperature = fields.Number("temperature", 1, 0, 100);
  sampling.top_p = fields.Number("top_p", 1, 0, 1);
  if (!(sampling.top_p > 0)) fields.Fail("top_p", "must be above 0");
  const int64_t top_k = fields.Integer("top_k", 0, -1, int64_t{1} << 31);
  sampling.top_k = std::max<int64_t>(top_k, 0);  // -1 turns it off as well
  sampling.min_p = fields.Number("min_p", 0, 0, 0.999999);
  sampling.repetition_penalty = fields.Number("repetition_penalty", 1, 0.01, 100);
  if (const nlohmann::json* bias = fields.Find("logit_bias")) {
    if (!bias->is_object() || bias->size() > kMaxBias) {
      fields.Fail("logit_bias", absl::StrCat("must be an object of at most ", kMaxBias, " tokens"));
      return sampling;
    }
    for (const auto& [token, value] : bias->items()) {
      int32_t id = 0;
      if (!absl::SimpleAtoi(token, &id) || !value.is_number() ||
          !(std::abs(value.get<double>()) <= 100)) {
        fields.Fail("logit_bias", "must map token ids to numbers from -100 to 100");
        break;
      }
      sampling.logit_bias.emplace_back(id, value.get<float>());
    }
  }
  return sampling;
}

std::vector<std::string> ReadStops(Fields& fields) {
  std::vector<std::string> stops;
  const nlohmann::json* stop = fields.Find("stop");
  if (stop == nullptr) return stops;
  const nlohmann::json list = stop->is_array() ? *stop : nlohmann::json::array({*stop});
  for (const nlohmann::json& one : list) {
    if (!one.is_string() || one.get_ref<const std::string&>().empty() ||
        one.get_ref<const std::string&>().size() > kMaxStopBytes || stops.size() == kMaxStops) {
      fields.Fail("stop", absl::StrCat("must be a string or at most ", kMaxStops,
                                       " of them, none empty or above ", kMaxStopBytes, " bytes"));
      return {};
    }
    stops.push_back(one.get<std::string>());
  }
  return stops;
}

// The text of a message: a string, or a list of parts of type "text".
bool ReadContent(const nlohmann::json& message, std::string* content) {
  const auto found = message.find("content");
  if (found == message.end()) return false;
  if (found->is_string()) {
    *content = found->get<std::string>();
    return true;
  }
  if (!found->is_array()) return false;
  for (const nlohmann::json& part : *found) {
    if (!part.is_object() || part.value("type", nlohmann::json()) != nlohmann::json("text"))
      return false;
    const auto text = part.find("text");
    if (text == part.end() || !text->is_string()) return false;
    *content += text->get_ref<const std::string&>();
  }
  return true;
}

std::vector<Message> ReadChat(Fields& fields) {
  const nlohmann::json* messages = fields.Find("messages");
  if (messages == nullptr || !messages->is_array() || messages->empty())
    return fields.Fail("messages", "must be a list of at least one message"),
           std::vector<Message>();
  std::vector<Message> chat;
  for (const nlohmann::json& one : *messages) {
    Message message;
    const auto role = one.is_object() ? one.find("role") : one.end();
    if (!one.is_object() || role == one.end() || !role->is_string() ||
        !ReadContent(one, &message.content)) {
      fields.Fail("messages",
                  absl::StrCat("message ", chat.size(), " needs a role and a content, both text"));
      return {};
    }
    message.role = role->get<std::string>();
    chat.push_back(std::move(message));
  }
  return chat;
}

std::vector<int32_t> ReadMessages(Fields& fields, const data::ModelText& text) {
  const std::vector<Message> chat = ReadChat(fields);
  if (chat.empty()) return {};
  auto tokens = text.EncodeChat(chat, /*system_prompt=*/"");
  if (!tokens.ok()) fields.Fail("messages", std::string(tokens.status().message()));
  return tokens.ok() ? *std::move(tokens) : std::vector<int32_t>();
}

bool IsTokenList(const nlohmann::json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const nlohmann::json& token) {
           return token.is_number_integer() && token >= 0 && token < (int64_t{1} << 31);
         });
}

// A string, token ids, or a list of such.
std::vector<std::vector<int32_t>> ReadPrompts(Fields& fields, const char* name,
                                              const data::ModelText& text) {
  std::vector<std::vector<int32_t>> prompts;
  const nlohmann::json* prompt = fields.Find(name);
  const nlohmann::json empty;
  const nlohmann::json& given = prompt == nullptr ? empty : *prompt;
  const bool single = given.is_string() || IsTokenList(given);
  const nlohmann::json list = single ? nlohmann::json::array({given}) : given;
  for (const nlohmann::json& one : list.is_array() ? list : nlohmann::json::array()) {
    if (one.is_string() && !one.get_ref<const std::string&>().empty()) {
      auto tokens = text.EncodeText(one.get_ref<const std::string&>());
      if (!tokens.ok()) fields.Fail(name, std::string(tokens.status().message()));
      prompts.push_back(tokens.ok() ? *std::move(tokens) : std::vector<int32_t>());
    } else if (IsTokenList(one)) {
      prompts.push_back(one.get<std::vector<int32_t>>());
    } else {
      prompts.clear();
      break;
    }
  }
  if (prompts.empty() || static_cast<int64_t>(prompts.size()) > kMaxChoices) {
    fields.Fail(name, absl::StrCat("must be a text, token ids, or a list of at most ", kMaxChoices,
                                   " of them, none empty"));
  }
  return prompts;
}

// As `ponder rm` reads a preference: prompt and answer, without its thought.
std::vector<int32_t> ReadAnsweredChat(Fields& fields, const data::ModelText& text) {
  std::vector<Message> chat = ReadChat(fields);
  if (chat.size() < 2 || chat.back().role != "assistant") {
    fields.Fail("messages", "must end with the assistant's turn, which is scored");
    return {};
  }
  const std::string response = std::move(chat.back().content);
  chat.pop_back();
  auto tokens = text.EncodeChat(chat, /*system_prompt=*/"");
  const auto answer = text.EncodeTrace(/*thought=*/"", data::SplitThought(response).answer);
  for (const absl::Status& status : {tokens.status(), answer.status()}) {
    if (!status.ok()) fields.Fail("messages", std::string(status.message()));
  }
  if (!tokens.ok() || !answer.ok()) return {};
  tokens->insert(tokens->end(), answer->begin(), answer->end());
  return *std::move(tokens);
}

ApiError CheckModel(const Fields& fields, const std::string& served_model) {
  const nlohmann::json* model = fields.Find("model");
  if (model == nullptr) return {};
  if (!model->is_string()) return Bad("model", "must be a string");
  if (*model == served_model) return {};
  return {404,
          absl::StrCat("the model '", model->get<std::string>(), "' is not served; '", served_model,
                       "' is"),
          "model"};
}

ApiError ParseObject(absl::string_view body, nlohmann::json* object) {
  *object = nlohmann::json::parse(body.begin(), body.end(), nullptr, /*allow_exceptions=*/false);
  if (object->is_discarded()) return {400, "the body is not valid JSON", ""};
  if (!object->is_object()) return {400, "the body must be a JSON object", ""};
  return {};
}

}  // namespace

ApiError ParseScoringCall(absl::string_view body, const moe::ModelConfig& config,
                          const std::string& served_model, const data::ModelText& text,
                          ScoringCall* call) {
  nlohmann::json json;
  if (ApiError error = ParseObject(body, &json); !error.ok()) return error;
  Fields fields(json);
  if (ApiError error = CheckModel(fields, served_model); !error.ok()) return error;
  const bool chat = fields.Find("messages") != nullptr;
  if (chat) {
    call->sequences = {ReadAnsweredChat(fields, text)};
  } else {
    call->sequences = ReadPrompts(fields, "input", text);
  }
  if (!fields.error().ok()) return fields.error();
  for (const std::vector<int32_t>& sequence : call->sequences) {
    const auto length = static_cast<int64_t>(sequence.size());
    if (length > config.max_position_embeddings) {
      return Bad(chat ? "messages" : "input",
                 absl::StrCat("the model's context is ", config.max_position_embeddings,
                              " tokens; these are ", length));
    }
    call->tokens += length;
  }
  return {};
}

ApiError ParseCall(absl::string_view body, Endpoint endpoint, const moe::ModelConfig& config,
                   const std::string& served_model, uint64_t random_seed, Call* call) {
  nlohmann::json json;
  if (ApiError error = ParseObject(body, &json); !error.ok()) return error;
  Fields fields(json);
  const bool chat = endpoint == Endpoint::kChat;
  call->endpoint = endpoint;
  call->model = served_model;
  if (ApiError error = CheckModel(fields, served_model); !error.ok()) return error;
  RefuseWhatIsNotServed(fields);
  call->stream = fields.Bool("stream", false);
  if (const nlohmann::json* options = fields.Find("stream_options")) {
    if (options->is_object()) {
      Fields stream_fields(*options);
      call->include_usage = stream_fields.Bool("include_usage", false);
      if (!stream_fields.error().ok())
        fields.Fail("stream_options", "include_usage must be a boolean");
    } else {
      fields.Fail("stream_options", "must be an object");
    }
  }
  int64_t top_logprobs = 0;
  if (chat) {
    call->logprobs = fields.Bool("logprobs", false);
    top_logprobs = fields.Integer("top_logprobs", 0, 0, kMaxTopLogprobs);
    if (top_logprobs > 0 && !call->logprobs) fields.Fail("top_logprobs", "needs logprobs");
  } else {
    top_logprobs = fields.Integer("logprobs", -1, 0, kMaxTopLogprobs);
    call->logprobs = top_logprobs >= 0;
  }
  const int64_t n = fields.Integer("n", 1, 1, kMaxChoices);
  Engine::Request request;
  request.sampling = ReadSampling(fields);
  // The same seed gives the same answers, whatever else the server does.
  request.random_stream = "serve";
  request.seed = random_seed;
  if (fields.Find("seed") != nullptr) {
    request.seed = static_cast<uint64_t>(fields.Integer(
        "seed", 0, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()));
  }
  call->stop_strings = request.stop_strings = ReadStops(fields);
  if (!fields.Bool("ignore_eos", false)) request.eos_tokens = call->text->eos_tokens();
  request.think = {fields.Integer("max_thinking_tokens", -1, 0, int64_t{1} << 31),
                   call->text->think_open(), call->text->think_close()};
  request.top_logprobs =
      call->logprobs ? std::min<int64_t>(std::max<int64_t>(top_logprobs, 0), config.vocab_size) : 0;
  const bool newer = chat && fields.Find("max_completion_tokens") != nullptr;
  const char* limit = newer ? "max_completion_tokens" : "max_tokens";
  const int64_t max_tokens = fields.Integer(limit, chat ? 0 : kDefaultCompletionTokens, 1,
                                            std::numeric_limits<int32_t>::max());
  const std::vector<std::vector<int32_t>> prompts =
      chat ? std::vector<std::vector<int32_t>>{ReadMessages(fields, *call->text)}
           : ReadPrompts(fields, "prompt", *call->text);
  if (!fields.error().ok()) return fields.error();
  if (static_cast<int64_t>(prompts.size()) * n > kMaxChoices)
    return Bad("n", absl::StrCat("at most ", kMaxChoices, " choices a call"));
  for (const std::vector<int32_t>& prompt : prompts) {
    const int64_t length = static_cast<int64_t>(prompt.size());
    const int64_t room = config.max_position_embeddings - length;
    if (room < 1 || max_tokens > room) {
      return Bad(
          chat ? "messages" : "prompt",
          absl::StrCat("the model's context is ", config.max_position_embeddings,
                       " tokens; the prompt has ", length, " and ", limit, " is ", max_tokens));
    }
    call->prompt_tokens += length;
    request.prompt_tokens = prompt;
    request.max_new_tokens = max_tokens > 0 ? max_tokens : room;
    for (int64_t i = 0; i < n; ++i) call->requests.push_back(request);
  }
  return {};
}

}  // namespace ponder::actor

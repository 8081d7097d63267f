#include "verifier/judge/http_chat_model.h"

#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::verifier {
namespace {

// The first choice of a reply that is not cut off.
absl::StatusOr<nlohmann::json> ChoiceOf(absl::string_view body) {
  nlohmann::json reply =
      nlohmann::json::parse(body.begin(), body.end(), nullptr, /*allow_exceptions=*/false);
  if (!reply.is_object() || !reply.contains("choices") || !reply["choices"].is_array() ||
      reply["choices"].empty()) {
    return absl::DataLossError("the reply has no choices");
  }
  nlohmann::json choice = std::move(reply["choices"][0]);
  if (!choice.is_object()) return absl::DataLossError("the reply's choice is no object");
  const auto finish = choice.find("finish_reason");
  if (finish != choice.end() && *finish == "length")
    return absl::DataLossError("the reply is cut at the token budget");
  return choice;
}

absl::StatusOr<std::string> AnswerOf(const std::string& body) {
  PONDER_ASSIGN_OR_RETURN(const nlohmann::json choice, ChoiceOf(body));
  const auto message = choice.find("message");
  if (message == choice.end() || !message->is_object() || !message->contains("content") ||
      !(*message)["content"].is_string()) {
    return absl::DataLossError("the reply has no content");
  }
  return (*message)["content"].get<std::string>();
}

// Where the last word begins, behind the last </think>; -1 if there is none.
int64_t LastWord(const nlohmann::json& tokens) {
  int64_t word = -1;
  bool inside = false;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string& text = tokens[i].at("token").get_ref<const std::string&>();
    if (absl::StrContains(text, "</think>")) {
      word = -1;
      inside = false;
      continue;
    }
    for (const char c : text) {
      const bool space = absl::ascii_isspace(static_cast<unsigned char>(c));
      if (!space && !inside) word = static_cast<int64_t>(i);
      inside = !space;
    }
  }
  return word;
}

// Whether a token is, or begins, `word`; a token may be less than a word: "Y".
bool Begins(absl::string_view token, absl::string_view word) {
  const std::string text = absl::AsciiStrToUpper(absl::StripAsciiWhitespace(token));
  return !text.empty() && absl::StartsWith(word, text);
}

}  // namespace

absl::StatusOr<double> ReadProbabilityOfYes(absl::string_view reply) {
  PONDER_ASSIGN_OR_RETURN(const nlohmann::json choice, ChoiceOf(reply));
  try {
    const nlohmann::json& tokens = choice.at("logprobs").at("content");
    const int64_t word = LastWord(tokens);
    if (word < 0) return absl::DataLossError("the reply has no answer");
    double yes = 0, no = 0;
    for (const nlohmann::json& one : tokens.at(static_cast<size_t>(word)).at("top_logprobs")) {
      const std::string& token = one.at("token").get_ref<const std::string&>();
      const double p = std::exp(one.at("logprob").get<double>());
      if (Begins(token, "YES")) yes += p;
      if (Begins(token, "NO")) no += p;
    }
    if (!(yes + no > 0)) {
      return absl::DataLossError(
          "neither YES nor NO is among the words that the reply may end with");
    }
    return yes / (yes + no);
  } catch (const nlohmann::json::exception&) {
    return absl::DataLossError(
        "the reply has no log-probs; the endpoint must serve logprobs and top_logprobs");
  }
}

absl::StatusOr<std::unique_ptr<HttpChatModel>> HttpChatModel::Create(Options options) {
  PONDER_ASSIGN_OR_RETURN(HttpEndpoint endpoint,
                          HttpEndpoint::Create(options.url, options.key, "the judge model"));
  return std::unique_ptr<HttpChatModel>(new HttpChatModel(std::move(options), std::move(endpoint)));
}

absl::StatusOr<std::string> HttpChatModel::Post(const std::string& system, const std::string& user,
                                                bool logprobs, absl::Time deadline) const {
  nlohmann::json body = {
      {"model", options_.model},
      {"messages",
       {{{"role", "system"}, {"content", system}}, {{"role", "user"}, {"content", user}}}},
      {"temperature", 0},
      {"max_tokens", options_.max_tokens}};
  if (logprobs) {
    body["logprobs"] = true;
    body["top_logprobs"] = 20;
  }
  return endpoint_.Post("/chat/completions",
                        body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
                        deadline);
}

absl::StatusOr<std::string> HttpChatModel::Ask(const std::string& system, const std::string& user,
                                               absl::Time deadline) const {
  PONDER_ASSIGN_OR_RETURN(const std::string reply, Post(system, user, false, deadline));
  return AnswerOf(reply);
}

absl::StatusOr<double> HttpChatModel::ProbabilityOfYes(const std::string& system,
                                                       const std::string& user,
                                                       absl::Time deadline) const {
  PONDER_ASSIGN_OR_RETURN(const std::string reply, Post(system, user, true, deadline));
  return ReadProbabilityOfYes(reply);
}

}  // namespace ponder::verifier

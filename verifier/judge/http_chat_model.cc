#include "verifier/judge/http_chat_model.h"

#include <httplib.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"

namespace ponder::verifier {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxReplyBytes = 4 << 20;

absl::StatusOr<std::string> AnswerOf(const std::string& body) {
  const Json reply = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!reply.is_object() || !reply.contains("choices") || !reply["choices"].is_array() ||
      reply["choices"].empty()) {
    return absl::DataLossError("the reply has no choices");
  }
  const Json& choice = reply["choices"][0];
  if (!choice.is_object()) return absl::DataLossError("the reply's choice is no object");
  const auto finish = choice.find("finish_reason");
  if (finish != choice.end() && *finish == "length")
    return absl::DataLossError("the reply is cut at the token budget");
  const auto message = choice.find("message");
  if (message == choice.end() || !message->is_object() || !message->contains("content") ||
      !(*message)["content"].is_string()) {
    return absl::DataLossError("the reply has no content");
  }
  return (*message)["content"].get<std::string>();
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpChatModel>> HttpChatModel::Create(Options options) {
  absl::string_view rest = options.url;
  if (!absl::ConsumePrefix(&rest, "http://") && !absl::ConsumePrefix(&rest, "https://")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", options.url, "' is no URL of a judge model: give http://host:port/v1 or https://..."));
  }
  const size_t slash = rest.find('/');
  const size_t scheme = options.url.size() - rest.size();
  const size_t host = slash == absl::string_view::npos ? rest.size() : slash;
  if (host == 0) return absl::InvalidArgumentError(absl::StrCat(options.url, " names no host"));
  std::string origin = options.url.substr(0, scheme + host);
  std::string path = options.url.substr(scheme + host);
  while (absl::EndsWith(path, "/")) path.pop_back();
  return std::unique_ptr<HttpChatModel>(new HttpChatModel(std::move(options), std::move(origin),
                                                          absl::StrCat(path, "/chat/completions")));
}

absl::StatusOr<std::string> HttpChatModel::Ask(const std::string& system, const std::string& user,
                                               absl::Time deadline) const {
  const auto left = [deadline] {
    return std::max<int64_t>(1, absl::ToInt64Microseconds(deadline - absl::Now()));
  };
  if (absl::Now() >= deadline) return absl::DeadlineExceededError("no time to ask the judge model");
  httplib::Client client(origin_);
  const int64_t time = std::min<int64_t>(left(), 3600 * int64_t{1'000'000});
  client.set_connection_timeout(time / 1'000'000, time % 1'000'000);
  client.set_read_timeout(time / 1'000'000, time % 1'000'000);
  client.set_write_timeout(time / 1'000'000, time % 1'000'000);
  httplib::Request request;
  request.method = "POST";
  request.path = path_;
  request.headers.emplace("Content-Type", "application/json");
  if (!options_.key.empty())
    request.headers.emplace("Authorization", absl::StrCat("Bearer ", options_.key));
  const Json body = {
      {"model", options_.model},
      {"messages",
       {{{"role", "system"}, {"content", system}}, {{"role", "user"}, {"content", user}}}},
      {"temperature", 0},
      {"max_tokens", options_.max_tokens}};
  request.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string reply;
  // A server that drips is cut off here, however often it resets the read timeout.
  request.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    reply.append(data, size);
    return reply.size() <= kMaxReplyBytes && absl::Now() < deadline;
  };
  const httplib::Result result = client.send(request);
  if (absl::Now() >= deadline)
    return absl::DeadlineExceededError("the judge model did not answer in time");
  if (!result) {
    return absl::UnavailableError(absl::StrCat("can't ask the judge model at ", options_.url, ": ",
                                               httplib::to_string(result.error())));
  }
  if (result->status != 200) {
    return absl::UnavailableError(absl::StrCat("the judge model at ", options_.url,
                                               " answers with HTTP status ", result->status, ": ",
                                               reply.substr(0, 200)));
  }
  return AnswerOf(reply);
}

}  // namespace ponder::verifier

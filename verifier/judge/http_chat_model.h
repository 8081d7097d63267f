// A model behind an OpenAI-compatible endpoint: POST <url>/chat/completions.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "verifier/judge/chat_model.h"
#include "verifier/judge/http_endpoint.h"

namespace ponder::verifier {

// A machine, thread-safe; a connection a question. Asks with temperature 0.
class HttpChatModel final : public ChatModel, public RulingModel {
 public:
  struct Options {
    std::string url;    // http(s)://host[:port]/v1
    std::string model;  // the name that the endpoint knows it by
    std::string key;    // sent as bearer token; empty: none
    int max_tokens = 4096;
  };
  // InvalidArgument: no such URL.
  static absl::StatusOr<std::unique_ptr<HttpChatModel>> Create(Options options);

  absl::StatusOr<std::string> Ask(const std::string& system, const std::string& user,
                                  absl::Time deadline) const override;
  // Asks for the 20 likeliest words at each place.
  absl::StatusOr<double> ProbabilityOfYes(const std::string& system, const std::string& user,
                                          absl::Time deadline) const override;

 private:
  HttpChatModel(Options options, HttpEndpoint endpoint)
      : options_(std::move(options)), endpoint_(std::move(endpoint)) {}
  absl::StatusOr<std::string> Post(const std::string& system, const std::string& user,
                                   bool logprobs, absl::Time deadline) const;

  const Options options_;
  const HttpEndpoint endpoint_;
};

// What HttpChatModel::ProbabilityOfYes makes of a reply's body.
absl::StatusOr<double> ReadProbabilityOfYes(absl::string_view reply);

}  // namespace ponder::verifier

// A model behind an OpenAI-compatible endpoint: POST <url>/chat/completions.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "verifier/judge/chat_model.h"

namespace ponder::verifier {

// A machine, thread-safe; a connection a question. Asks with temperature 0.
class HttpChatModel final : public ChatModel {
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

 private:
  HttpChatModel(Options options, std::string origin, std::string path)
      : options_(std::move(options)), origin_(std::move(origin)), path_(std::move(path)) {}

  const Options options_;
  const std::string origin_;  // http(s)://host[:port]
  const std::string path_;    // /v1/chat/completions
};

}  // namespace ponder::verifier

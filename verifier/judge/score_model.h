// A reward model that scores the last turn of a chat, and one behind HTTP: POST <url>/pooling, as
// `ponder serve` and vLLM answer it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/types.h"
#include "verifier/judge/http_endpoint.h"

namespace ponder::verifier {

// A seam; implementations are thread-safe.
class ScoreModel {
 public:
  virtual ~ScoreModel() = default;
  // How good the last of `messages`, the assistant's, is. DeadlineExceeded: not in time. DataLoss:
  // no number in the reply. Unavailable: everything else.
  virtual absl::StatusOr<double> Score(const std::vector<Message>& messages,
                                       absl::Time deadline) const = 0;
};

// A machine, thread-safe; a connection a question.
class HttpScoreModel final : public ScoreModel {
 public:
  struct Options {
    std::string url;    // http(s)://host[:port]
    std::string model;  // the name that the endpoint knows it by; empty: the one that it serves
    std::string key;    // sent as bearer token; empty: none
  };
  // InvalidArgument: no such URL.
  static absl::StatusOr<std::unique_ptr<HttpScoreModel>> Create(Options options);

  absl::StatusOr<double> Score(const std::vector<Message>& messages,
                               absl::Time deadline) const override;

 private:
  HttpScoreModel(Options options, HttpEndpoint endpoint)
      : options_(std::move(options)), endpoint_(std::move(endpoint)) {}

  const Options options_;
  const HttpEndpoint endpoint_;
};

}  // namespace ponder::verifier

// A JSON API over HTTP, as OpenAI-compatible servers speak it.
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ponder::verifier {

// A value, thread-safe; a connection a call.
class HttpEndpoint {
 public:
  // `url`: http(s)://host[:port][/path]; `key` is sent as bearer token unless empty; `whose` names
  // it in messages: "the judge model". InvalidArgument: no such URL.
  static absl::StatusOr<HttpEndpoint> Create(const std::string& url, const std::string& key,
                                             const std::string& whose);

  // POST <url><path>: the reply to status 200. DeadlineExceeded: not in time. Unavailable:
  // everything else.
  absl::StatusOr<std::string> Post(const std::string& path, const std::string& body,
                                   absl::Time deadline) const;

 private:
  HttpEndpoint(std::string url, std::string key, std::string whose)
      : url_(std::move(url)), key_(std::move(key)), whose_(std::move(whose)) {}

  std::string url_, key_, whose_;
  std::string origin_;  // http(s)://host[:port]
  std::string path_;    // without a slash at its end
};

}  // namespace ponder::verifier

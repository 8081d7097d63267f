#include "verifier/judge/http_endpoint.h"

#include <httplib.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/steady_clock.h"

namespace ponder::verifier {
namespace {

constexpr size_t kMaxReplyBytes = 4 << 20;

}  // namespace

absl::StatusOr<HttpEndpoint> HttpEndpoint::Create(const std::string& url, const std::string& key,
                                                  const std::string& whose) {
  absl::string_view rest = url;
  if (!absl::ConsumePrefix(&rest, "http://") && !absl::ConsumePrefix(&rest, "https://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", url, "' is no URL of ", whose,
                     ": give http://host:port, https://... or one with a path"));
  }
  const size_t slash = rest.find('/');
  const size_t scheme = url.size() - rest.size();
  const size_t host = slash == absl::string_view::npos ? rest.size() : slash;
  if (host == 0) return absl::InvalidArgumentError(absl::StrCat(url, " names no host"));
  HttpEndpoint endpoint(url, key, whose);
  endpoint.origin_ = url.substr(0, scheme + host);
  endpoint.path_ = url.substr(scheme + host);
  while (absl::EndsWith(endpoint.path_, "/")) endpoint.path_.pop_back();
  return endpoint;
}

absl::StatusOr<std::string> HttpEndpoint::Post(const std::string& path, const std::string& body,
                                               absl::Time deadline) const {
  const auto left = [deadline] {
    return std::max<int64_t>(1, absl::ToInt64Microseconds(deadline - SteadyNow()));
  };
  if (SteadyNow() >= deadline)
    return absl::DeadlineExceededError(absl::StrCat("no time to ask ", whose_));
  httplib::Client client(origin_);
  const int64_t time = std::min<int64_t>(left(), 3600 * int64_t{1'000'000});
  client.set_connection_timeout(time / 1'000'000, time % 1'000'000);
  client.set_read_timeout(time / 1'000'000, time % 1'000'000);
  client.set_write_timeout(time / 1'000'000, time % 1'000'000);
  httplib::Request request;
  request.method = "POST";
  request.path = absl::StrCat(path_, path);
  request.headers.emplace("Content-Type", "application/json");
  if (!key_.empty()) request.headers.emplace("Authorization", absl::StrCat("Bearer ", key_));
  request.body = body;
  std::string reply;
  // A server that drips is cut off here, however often it resets the read timeout.
  request.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    reply.append(data, size);
    return reply.size() <= kMaxReplyBytes && SteadyNow() < deadline;
  };
  const httplib::Result result = client.send(request);
  if (SteadyNow() >= deadline)
    return absl::DeadlineExceededError(absl::StrCat(whose_, " did not answer in time"));
  if (!result) {
    return absl::UnavailableError(
        absl::StrCat("can't ask ", whose_, " at ", url_, ": ", httplib::to_string(result.error())));
  }
  if (result->status != 200) {
    return absl::UnavailableError(absl::StrCat(whose_, " at ", url_, " answers with HTTP status ",
                                               result->status, ": ", reply.substr(0, 200)));
  }
  return reply;
}

}  // namespace ponder::verifier

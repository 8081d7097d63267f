#include "verifier/judge/score_model.h"

#include <cmath>

#include "base/status.h"
#include "data/prompt_line.h"
#include "nlohmann/json.hpp"

namespace ponder::verifier {
namespace {

// The number in {"data": [{"data": [x]}]}; of a list for each token, the last.
absl::StatusOr<double> ScoreOf(const std::string& body) {
  const nlohmann::json reply = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  const nlohmann::json* at = &reply;
  if (at->is_object() && at->contains("data")) at = &(*at)["data"];
  if (at->is_array() && !at->empty()) at = &at->front();
  if (at->is_object() && at->contains("data")) at = &(*at)["data"];
  while (at->is_array() && !at->empty()) at = &at->back();
  if (!at->is_number() || !std::isfinite(at->get<double>()))
    return absl::DataLossError("the reply has no score");
  return at->get<double>();
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpScoreModel>> HttpScoreModel::Create(Options options) {
  PONDER_ASSIGN_OR_RETURN(HttpEndpoint endpoint,
                          HttpEndpoint::Create(options.url, options.key, "the reward model"));
  return std::unique_ptr<HttpScoreModel>(
      new HttpScoreModel(std::move(options), std::move(endpoint)));
}

absl::StatusOr<double> HttpScoreModel::Score(const std::vector<Message>& messages,
                                             absl::Time deadline) const {
  nlohmann::ordered_json body = {{"messages", data::MessagesToJson(messages)}};
  if (!options_.model.empty()) body["model"] = options_.model;
  PONDER_ASSIGN_OR_RETURN(
      const std::string reply,
      endpoint_.Post("/pooling",
                     body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
                     deadline));
  return ScoreOf(reply);
}

}  // namespace ponder::verifier

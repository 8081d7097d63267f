// `ponder score`: the log-probs that a model gives to tokens, and its routers' choices.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "deploy/commands.h"
#include "moe/checkpoint.h"
#include "moe/scoring.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {
namespace {

using Json = nlohmann::ordered_json;

struct ScoreOptions {
  std::string model;
  std::string in;
  bool routing = false;
  int threads = 1;
};

absl::StatusOr<std::vector<int32_t>> ParseIds(const std::string& line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("ids") || !json["ids"].is_array()) {
    return absl::InvalidArgumentError("expected an object with ids, a list of tokens");
  }
  std::vector<int32_t> ids;
  for (const Json& id : json["ids"]) {
    constexpr int64_t kMost = int64_t{1} << 30;
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > kMost) {
      return absl::InvalidArgumentError(absl::StrCat("ids holds ", id.dump(), ", not a token"));
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

// Adds router_topk, [layers][positions][experts, ascending], null for dense layers, and
// router_topk_weights, aligned with it.
void AddRouting(const moe::ModelConfig& config, const moe::TokenScores& scores, Json* json) {
  const size_t k = static_cast<size_t>(config.num_experts_per_tok);
  Json experts = Json::array();
  Json weights = Json::array();
  for (const moe::Inference::Routing& layer : scores.routing) {
    Json layer_experts;
    Json layer_weights;
    for (size_t at = 0; at < layer.experts.size(); at += k) {
      std::vector<std::pair<int32_t, float>> chosen;
      for (size_t i = at; i < at + k; ++i) chosen.emplace_back(layer.experts[i], layer.weights[i]);
      std::sort(chosen.begin(), chosen.end());
      Json token_experts = Json::array();
      Json token_weights = Json::array();
      for (const auto& [expert, weight] : chosen) {
        token_experts.push_back(expert);
        token_weights.push_back(weight);
      }
      layer_experts.push_back(std::move(token_experts));
      layer_weights.push_back(std::move(token_weights));
    }
    experts.push_back(std::move(layer_experts));
    weights.push_back(std::move(layer_weights));
  }
  (*json)["router_topk"] = std::move(experts);
  (*json)["router_topk_weights"] = std::move(weights);
}

absl::Status RunScore(const ScoreOptions& options) {
  PONDER_ASSIGN_OR_RETURN(const moe::Model model, moe::LoadModel(options.model));
  std::ifstream in(options.in, std::ios::binary);
  if (!in) return ErrnoStatus(errno, absl::StrCat("can't open ", options.in));
  kernels::ThreadPool pool(options.threads);
  PONDER_ASSIGN_OR_RETURN(auto packed, moe::PackModel(pool, model));
  moe::Inference inference(pool, std::move(packed));
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string place = absl::StrCat(options.in, ":", number);
    auto ids = ParseIds(line);
    if (!ids.ok()) return Annotate(ids.status(), place);
    auto scores = moe::ScoreTokens(inference, *ids, options.routing);
    if (!scores.ok()) return Annotate(scores.status(), place);
    Json json;
    json["logprobs"] = scores->logprobs;
    if (options.routing) AddRouting(model.config, *scores, &json);
    std::printf("%s\n", json.dump().c_str());
  }
  if (in.bad()) return ErrnoStatus(errno, absl::StrCat("can't read ", options.in));
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    return ErrnoStatus(errno, "can't write to stdout");
  return absl::OkStatus();
}

}  // namespace

void AddScoreCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<ScoreOptions>();
  CLI::App* command = app.add_subcommand("score", "log-probs of given tokens");
  command->add_option("--model", options->model, "folder of the model")->required();
  command
      ->add_option("--in", options->in,
                   "JSONL {ids}; for each line {logprobs} comes out: of ids[t+1] after ids[0..t]")
      ->required();
  command->add_flag("--routing", options->routing,
                    "add router_topk, [layers][positions][experts], and router_topk_weights");
  command
      ->add_option("--threads", options->threads,
                   "of the computation; the result is the same for any number")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->callback(
      [options, exit_code] { *exit_code = ReportStatus("score", RunScore(*options)); });
}

}  // namespace ponder::deploy

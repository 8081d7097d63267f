// `ponder generate`: one answer of a model, streamed as it comes.
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "actor/engine/engine.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "base/status.h"
#include "deploy/commands.h"
#include "deploy/model_folder.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {
namespace {

struct GenerateOptions {
  std::string model;
  std::string prompt;
  std::vector<int32_t> ids;  // instead of a prompt: no tokenizer is needed then
  bool greedy = false;
  std::string system_prompt;
  uint64_t seed = 1;
  kernels::SamplingOptions sampling;
  int64_t max_tokens = 0;  // 0: what the model has room for
  int threads = 1;
  std::string weights = "f32";
  bool json = false;
  data::ModelTextOptions text;
};

// `text` is null where there are ids instead of a prompt.
absl::StatusOr<actor::Engine::Request> MakeRequest(const GenerateOptions& options,
                                                   const moe::ModelConfig& config,
                                                   const data::ModelText* text) {
  actor::Engine::Request request;
  request.key = {"prompt", 0};
  if (text != nullptr) {
    PONDER_ASSIGN_OR_RETURN(
        request.prompt_tokens,
        text->EncodeChat({Message{"user", options.prompt}}, options.system_prompt));
    request.eos_tokens = text->eos_tokens();
  } else {
    request.prompt_tokens = options.ids;
    request.eos_tokens = config.more_eos_token_ids;
    if (config.eos_token_id >= 0) request.eos_tokens.push_back(config.eos_token_id);
  }
  const int64_t room =
      config.max_position_embeddings - static_cast<int64_t>(request.prompt_tokens.size());
  if (room < 1) {
    return absl::InvalidArgumentError(absl::StrCat("--prompt has ", request.prompt_tokens.size(),
                                                   " tokens, the model takes fewer than ",
                                                   config.max_position_embeddings));
  }
  if (options.max_tokens > room) {
    return absl::InvalidArgumentError(absl::StrCat("--max-tokens is ", options.max_tokens,
                                                   ", the model has room for ", room,
                                                   " after this prompt"));
  }
  request.max_new_tokens = options.max_tokens > 0 ? options.max_tokens : room;
  request.sampling = options.sampling;
  if (options.greedy) request.sampling.temperature = 0;
  request.seed = options.seed;
  return request;
}

absl::Status RunGenerate(const GenerateOptions& options) {
  OpenedModel opened;
  if (options.ids.empty()) {
    PONDER_ASSIGN_OR_RETURN(opened, OpenModel(options.model, options.text));
  } else {
    PONDER_ASSIGN_OR_RETURN(opened.model, moe::LoadModel(options.model));
  }
  moe::Model& model = opened.model;
  const data::ModelText* const text = opened.text.get();
  PONDER_ASSIGN_OR_RETURN(actor::Engine::Request request, MakeRequest(options, model.config, text));
  const std::vector<int32_t> ends = request.eos_tokens;
  model.config.LimitPositions(static_cast<int64_t>(request.prompt_tokens.size()) +
                              request.max_new_tokens);
  actor::Engine::Options engine_options;
  engine_options.threads = options.threads;
  engine_options.max_batch = 1;
  PONDER_CHECK(kernels::ParseWeightType(options.weights, &engine_options.weight_type),
               options.weights, " passed the flag's check");
  engine_options.kv_cache_mib = actor::Engine::LeastKvCacheMib(model.config);
  PONDER_ASSIGN_OR_RETURN(auto engine, actor::Engine::Make(engine_options, model, /*version=*/0));
  PONDER_RETURN_IF_ERROR(engine->Enqueue(std::move(request)));

  std::vector<actor::Engine::Finished> done;
  const auto stream = [&](const actor::Engine::Token& next) {
    const int32_t token = next.token.token;
    if (options.json) return;
    if (text == nullptr) {
      std::printf("%d ", token);
      std::fflush(stdout);
      return;
    }
    if (absl::c_linear_search(ends, token)) return;
    const std::string bytes = text->TokenName(token);
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    std::fflush(stdout);
  };
  while (engine->pending() > 0) PONDER_RETURN_IF_ERROR(engine->Step(&done, stream));
  const actor::Engine::Finished& answer = done.front();
  std::string end = "\n";
  if (options.json) {
    nlohmann::ordered_json json;
    if (text != nullptr) json["text"] = text->ResponseText(answer.tokens);
    json["ids"] = answer.tokens;
    json["logprobs"] = answer.logprobs;
    end = json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }
  std::fputs(end.c_str(), stdout);
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    return ErrnoStatus(errno, "can't write to stdout");
  return absl::OkStatus();
}

}  // namespace

void AddGenerateCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = app.add_subcommand("generate", "let a model answer a prompt");
  command->add_option("--model", options->model, "folder of the model")->required();
  CLI::Option_group* input = command->add_option_group("input");
  input->add_option("--prompt", options->prompt, "what to ask it");
  input->add_option("--ids", options->ids, "tokens to go on from, such as 5,9,12")->delimiter(',');
  input->require_option(1);
  command->add_flag("--greedy", options->greedy, "the likeliest token each time");
  command->add_option("--system-prompt", options->system_prompt, "opens the chat");
  AddTextOptions(command, &options->text);
  command->add_option("--seed", options->seed, "of the sampling")->capture_default_str();
  command->add_option("--temperature", options->sampling.temperature, "0: greedy")
      ->capture_default_str();
  command
      ->add_option("--top-p", options->sampling.top_p,
                   "in (0, 1]: sample from the likeliest tokens only")
      ->capture_default_str();
  command
      ->add_option("--max-tokens", options->max_tokens,
                   "longest answer; without it, what the model has room for")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command
      ->add_option("--threads", options->threads,
                   "of the computation; the answer is the same for any number")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command
      ->add_option("--weights", options->weights,
                   "how matrices are kept: f32, bf16 or int8 (a quarter of the memory)")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->capture_default_str();
  command->add_flag("--json", options->json,
                    "one object {text, ids, logprobs} at the end instead of a stream");
  command->callback(
      [options, exit_code] { *exit_code = ReportStatus("generate", RunGenerate(*options)); });
}

}  // namespace ponder::deploy

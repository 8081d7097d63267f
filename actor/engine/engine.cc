#include "actor/engine/engine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actor/engine/running_batch.h"
#include "base/check.h"
#include "base/status.h"

namespace ponder::actor {
namespace {

constexpr int64_t kMib = int64_t{1} << 20;

int64_t PageBytes(const moe::ModelConfig& config) {
  return kernels::KvPageFloats(config.attention_shape(), config.num_hidden_layers) *
         int64_t{sizeof(float)};
}

absl::Status CheckSampling(const kernels::SamplingOptions& sampling, int64_t vocab) {
  if (!(sampling.temperature >= 0) || !std::isfinite(sampling.temperature))
    return absl::InvalidArgumentError("temperature must be 0 (greedy) or more");
  if (!(sampling.top_p > 0 && sampling.top_p <= 1))
    return absl::InvalidArgumentError("top_p must be in (0, 1]");
  if (sampling.top_k < 0) return absl::InvalidArgumentError("top_k must be 0 (off) or more");
  if (!(sampling.min_p >= 0 && sampling.min_p < 1))
    return absl::InvalidArgumentError("min_p must be in [0, 1)");
  if (!(sampling.repetition_penalty > 0) || !std::isfinite(sampling.repetition_penalty))
    return absl::InvalidArgumentError("repetition_penalty must be above 0");
  for (const auto& [token, bias] : sampling.logit_bias) {
    if (token < 0 || token >= vocab || !std::isfinite(bias)) {
      return absl::InvalidArgumentError(absl::StrCat("logit_bias of token ", token, " is ", bias,
                                                     "; it must be finite, and the token below ",
                                                     vocab));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckEnd(const Engine::Request& request, const Engine::Options& options,
                      int64_t vocab) {
  for (const std::string& stop : request.stop_strings) {
    if (stop.empty()) return absl::InvalidArgumentError("a stop string is empty");
  }
  if (!request.stop_strings.empty() && options.token_text == nullptr) {
    return absl::InvalidArgumentError(
        "stop_strings need Engine::Options::token_text, the text of a token");
  }
  const Engine::ThinkBudget& think = request.think;
  if (think.tokens >= 0 && (think.close < 0 || think.close >= vocab)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a budget for thinking needs the token that closes a thought; it is ", think.close));
  }
  if (request.top_logprobs < 0 || request.top_logprobs > vocab)
    return absl::InvalidArgumentError("top_logprobs must be from 0 to the size of the vocabulary");
  return absl::OkStatus();
}

}  // namespace

struct Engine::State {
  State(const Options& options, const moe::ModelConfig& config, int64_t pages)
      : weight_type(options.weight_type), batch(options, config, pages) {}
  const kernels::WeightType weight_type;
  RunningBatch batch;
};

int64_t Engine::LeastKvCacheMib(const moe::ModelConfig& config) {
  const int64_t pages = PagesFor(config.max_position_embeddings);
  return (pages * PageBytes(config) + kMib - 1) / kMib;
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Make(const Options& options,
                                                     const moe::Model& model, int64_t version) {
  if (options.threads < 1 || options.max_batch < 1 || options.prefill_tokens < 1) {
    return absl::InvalidArgumentError("threads, max_batch and prefill_tokens must be at least 1");
  }
  PONDER_RETURN_IF_ERROR(model.config.Validate());
  if (model.config.scalar_head) {
    return absl::FailedPreconditionError(
        "a value or reward model scores text and can't write any; use the policy's folder");
  }
  const int64_t least = LeastKvCacheMib(model.config);
  if (options.kv_cache_mib < least) {
    return absl::ResourceExhaustedError(
        absl::StrCat("kv_cache_mib is ", options.kv_cache_mib, ", but one sequence of ",
                     model.config.max_position_embeddings, " tokens needs ", least));
  }
  const int64_t capacity = std::min<int64_t>(options.kv_cache_mib * kMib / PageBytes(model.config),
                                             std::numeric_limits<int32_t>::max());
  auto state = std::make_unique<State>(options, model.config, capacity);
  PONDER_ASSIGN_OR_RETURN(auto packed,
                          moe::PackModel(state->batch.pool(), model, options.weight_type));
  state->batch.SetModel(std::move(packed), version);
  return std::unique_ptr<Engine>(new Engine(std::move(state)));
}

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::~Engine() = default;

absl::Status Engine::Check(const Request& request) const {
  const moe::ModelConfig& config = state_->batch.config();
  const int64_t prompt = static_cast<int64_t>(request.prompt_tokens.size());
  const std::string name = absl::StrCat("prompt ", request.key.prompt_id);
  if (prompt == 0) return absl::InvalidArgumentError(absl::StrCat(name, " has no tokens"));
  if (request.max_new_tokens < 1)
    return absl::InvalidArgumentError("max_new_tokens must be at least 1");
  if (request.max_new_tokens > config.max_position_embeddings - prompt) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, " has ", prompt, " tokens; with ", request.max_new_tokens,
        " new ones it exceeds max_position_embeddings (", config.max_position_embeddings, ")"));
  }
  for (int32_t token : request.prompt_tokens) {
    if (token < 0 || token >= config.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, " has token ", token, ", outside the vocabulary of ", config.vocab_size));
    }
  }
  PONDER_RETURN_IF_ERROR(CheckSampling(request.sampling, config.vocab_size));
  PONDER_RETURN_IF_ERROR(CheckEnd(request, state_->batch.options(), config.vocab_size));
  if (state_->batch.IsLive(request.key)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ", sample ", request.key.sample_index, " is being generated already"));
  }
  return absl::OkStatus();
}

absl::Status Engine::Enqueue(Request request) {
  PONDER_RETURN_IF_ERROR(Check(request));
  state_->batch.Enqueue(std::move(request));
  return absl::OkStatus();
}

absl::Status Engine::Step(std::vector<Finished>* done, const OnToken& on_token) {
  state_->batch.Step(done, on_token);
  return absl::OkStatus();
}

std::optional<Engine::Finished> Engine::Cancel(const SampleKey& key) {
  return state_->batch.Cancel(key);
}

int64_t Engine::pending() const { return state_->batch.pending(); }

absl::Status Engine::SetModel(const moe::Model& model, int64_t version) {
  if (model.config.ToJson() != config().ToJson()) {
    return absl::InvalidArgumentError("the new weights are for a model of another config");
  }
  PONDER_ASSIGN_OR_RETURN(auto packed,
                          moe::PackModel(state_->batch.pool(), model, state_->weight_type));
  state_->batch.SetModel(std::move(packed), version);
  return absl::OkStatus();
}

int64_t Engine::version() const { return state_->batch.version(); }
int64_t Engine::pages_in_use() const { return state_->batch.pages_in_use(); }
Engine::Stats Engine::stats() const { return state_->batch.stats(); }
const moe::ModelConfig& Engine::config() const { return state_->batch.config(); }

absl::StatusOr<std::vector<Engine::Finished>> GenerateAll(
    Engine& engine, std::vector<Engine::Request> requests,
    const std::function<void(int64_t done, int64_t total)>& progress) {
  PONDER_CHECK(engine.pending() == 0, engine.pending(), " other sequences are pending");
  std::map<SampleKey, size_t> place;
  for (size_t i = 0; i < requests.size(); ++i) {
    PONDER_RETURN_IF_ERROR(engine.Check(requests[i]));
    PONDER_CHECK(place.emplace(requests[i].key, i).second, "prompt ", requests[i].key.prompt_id,
                 ", sample ", requests[i].key.sample_index, " is requested twice");
  }
  for (Engine::Request& request : requests)
    PONDER_RETURN_IF_ERROR(engine.Enqueue(std::move(request)));
  std::vector<Engine::Finished> results(place.size());
  std::vector<Engine::Finished> done;
  while (engine.pending() > 0) {
    done.clear();
    PONDER_RETURN_IF_ERROR(engine.Step(&done));
    for (Engine::Finished& finished : done) results[place.at(finished.key)] = std::move(finished);
    const int64_t total = static_cast<int64_t>(results.size());
    if (progress && !done.empty()) progress(total - engine.pending(), total);
  }
  return results;
}

}  // namespace ponder::actor

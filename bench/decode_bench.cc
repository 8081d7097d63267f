// Decoding: W sequences in lockstep, greedy, each from a prompt of its own of 16 tokens. One JSON
// line for each width: tokens a second of the whole engine (sampling and log-probs included) while
// it decodes, and the share of what this machine can do at best.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "actor/engine/engine.h"
#include "base/check.h"
#include "base/status.h"
#include "bench/machine_peaks.h"
#include "moe/checkpoint.h"

namespace ponder::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kPromptTokens = 16;

struct Options {
  std::string model;
  int threads = 2;
  std::string weights = "f32";
  int64_t new_tokens = 64;
  std::vector<int64_t> widths = {1, 16, 64, 256};
};

actor::Engine::Request MakeRequest(char first_letter, int64_t sequence, int64_t max_new_tokens) {
  actor::Engine::Request request;
  request.key = {absl::StrCat("sequence", sequence), 0};
  for (int64_t t = 0; t < kPromptTokens; ++t) {
    request.prompt_tokens.push_back(static_cast<int32_t>(first_letter + (sequence + t) % 26));
  }
  request.max_new_tokens = max_new_tokens;
  request.sampling.temperature = 0;
  request.eos_tokens = {};  // never: all sequences have one length
  return request;
}

// Weights that every token is multiplied with.
double ActiveWeights(const moe::ModelConfig& config) {
  const int64_t embeddings =
      config.tie_word_embeddings ? 0 : config.vocab_size * config.hidden_size;
  return static_cast<double>(moe::CountParameters(config).active - embeddings);
}

double BytesPerWeight(const std::string& weights) {
  return weights == "f32" ? 4 : weights == "bf16" ? 2 : 8.5 / 8;
}

// What the decoding of `width` sequences took, the steps left out that also feed prompts.
struct Lap {
  int64_t tokens = 0;
  double seconds = 0;
  double cpu_seconds = 0;
};

absl::StatusOr<Lap> RunLap(actor::Engine& engine, char first_letter, int64_t width,
                           int64_t new_tokens) {
  // Two tokens more than are timed: those of the steps that also feed prompts.
  for (int64_t s = 0; s < width; ++s) {
    PONDER_RETURN_IF_ERROR(engine.Enqueue(MakeRequest(first_letter, s, new_tokens + 2)));
  }
  Lap lap;
  std::map<std::string, bool> started;
  const auto on_first = [&](const actor::Engine::Token& next) {
    started[next.key.prompt_id] = true;
  };
  const auto on_token = [&](const actor::Engine::Token&) { ++lap.tokens; };
  std::vector<actor::Engine::Finished> done;
  while (static_cast<int64_t>(started.size()) < width && engine.pending() > 0) {
    PONDER_RETURN_IF_ERROR(engine.Step(&done, on_first));
  }
  const double cpu_start = CpuSeconds();
  const auto start = Clock::now();
  while (engine.pending() > 0) PONDER_RETURN_IF_ERROR(engine.Step(&done, on_token));
  lap.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  lap.cpu_seconds = CpuSeconds() - cpu_start;
  return lap;
}

absl::Status RunWidth(const Options& options, const moe::Model& model, int64_t width) {
  actor::Engine::Options engine_options;
  engine_options.threads = options.threads;
  engine_options.max_batch = width;
  PONDER_CHECK(kernels::ParseWeightType(options.weights, &engine_options.weight_type),
               options.weights);
  engine_options.prefill_tokens = 512;
  const int64_t least = actor::Engine::LeastKvCacheMib(model.config);
  engine_options.kv_cache_mib = least * (width + 1);
  PONDER_ASSIGN_OR_RETURN(auto engine, actor::Engine::Make(engine_options, model, /*version=*/0));
  // Once for the memory of keys and values, which a peer clears before it begins and an actor keeps
  // from batch to batch; then, with other prompts, for the clock.
  PONDER_RETURN_IF_ERROR(RunLap(*engine, 'a', width, options.new_tokens).status());
  PONDER_ASSIGN_OR_RETURN(const Lap lap, RunLap(*engine, 'A', width, options.new_tokens));
  const double rate = static_cast<double>(lap.tokens) / lap.seconds;
  // Shares are of the processor time used: others on the machine do not change them much.
  kernels::ThreadPool pool(options.threads);
  const double full_rate = static_cast<double>(lap.tokens) * options.threads / lap.cpu_seconds;
  std::printf(
      "{\"width\": %lld, \"tokens_per_s\": %.1f, \"cpu_us_per_token\": %.2f, "
      "\"share_of_fma_peak\": %.3f",
      static_cast<long long>(width), rate,
      lap.cpu_seconds * 1e6 / static_cast<double>(lap.tokens),
      2 * ActiveWeights(model.config) * full_rate / FmaPeak(pool));
  if (width == 1) {
    const double bytes = BytesPerWeight(options.weights) * ActiveWeights(model.config) * full_rate;
    std::printf(", \"share_of_read_bandwidth\": %.3f", bytes / ReadBandwidth(pool));
  }
  std::printf("}\n");
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status Run(const Options& options) {
  PONDER_ASSIGN_OR_RETURN(const moe::Model model, moe::LoadModel(options.model));
  for (int64_t width : options.widths) PONDER_RETURN_IF_ERROR(RunWidth(options, model, width));
  return absl::OkStatus();
}

}  // namespace
}  // namespace ponder::bench

int main(int argc, char** argv) {
  ponder::bench::Options options;
  CLI::App app("Decodes W sequences in lockstep, greedy, and tells the tokens a second.");
  app.add_option("--model", options.model, "folder of the model")->required();
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--new-tokens", options.new_tokens, "timed tokens of each sequence")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--weights", options.weights, "f32, bf16 or int8")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->capture_default_str();
  app.add_option("--width", options.widths, "sequences, e.g. 1,16,64,256")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 16));
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = ponder::bench::Run(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench_decode: %s\n", std::string(status.message()).c_str());
  return 1;
}

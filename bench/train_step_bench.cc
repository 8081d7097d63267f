// Training: forward, log-softmax, backward, clip and AdamW on a batch of sequences of one length,
// every token scored; the learner's own update beside the plain LibTorch decoder of the tests. One
// JSON line for each: tokens a second, and the share of the FMAs that this machine can do (6 for
// each active parameter and token).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/types.h>  // before clip_grad.h, which leans on it

#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "base/philox.h"
#include "base/status.h"
#include "bench/machine_peaks.h"
#include "comm/group.h"
#include "learner/mesh.h"
#include "learner/policy_batch.h"
#include "learner/updater.h"
#include "moe/checkpoint.h"
#include "tests/moe/plain_decoder.h"

namespace ponder::bench {
namespace {

constexpr double kLearningRate = 1e-4;

struct Options {
  std::string model;
  int threads = 2;
  int64_t batch = 64;
  int64_t length = 128;
  int rounds = 5;
  bool ours_only = false;
};

// The median time of an update, after one that warms up.
absl::StatusOr<double> MedianSeconds(int rounds, const std::function<absl::Status()>& update) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  for (int round = 0; round <= rounds; ++round) {
    const auto start = Clock::now();
    PONDER_RETURN_IF_ERROR(update());
    if (round > 0) seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + rounds / 2, seconds.end());
  return seconds[rounds / 2];
}

learner::PolicyBatch MakeBatch(const moe::ModelConfig& config, const Options& options) {
  Rng rng(1, "train_step_bench");
  learner::PolicyBatch batch;
  for (int64_t s = 0; s < options.batch; ++s) {
    std::vector<int32_t> tokens;
    for (int64_t t = 0; t < options.length; ++t) {
      tokens.push_back(static_cast<int32_t>(rng.NextInt(0, config.vocab_size - 1)));
    }
    batch.Append(absl::MakeConstSpan(tokens).first(1), absl::MakeConstSpan(tokens).subspan(1));
  }
  return batch;
}

absl::StatusOr<double> OurSeconds(const Options& options, const moe::Model& model,
                                  const learner::PolicyBatch& batch) {
  PONDER_ASSIGN_OR_RETURN(const learner::Mesh mesh,
                          learner::MakeMesh(std::move(comm::MakeThreadGroup(1)[0]), 1));
  moe::Decoder::Options decoder_options;
  decoder_options.threads = options.threads;
  PONDER_ASSIGN_OR_RETURN(const auto decoder,
                          moe::Decoder::Make(model.config, *model.weights, decoder_options));
  learner::Updater updater({}, *decoder, mesh);
  return MedianSeconds(options.rounds,
                       [&] { return updater.SupervisedUpdate(batch, kLearningRate).status(); });
}

absl::StatusOr<double> PlainSeconds(const Options& options, const moe::Model& model,
                                    const learner::PolicyBatch& batch) {
  at::set_num_threads(options.threads);
  const moe::PlainDecoder decoder(model.config, *model.weights, at::kFloat);
  std::vector<at::Tensor> parameters;
  for (const auto& [name, tensor] : decoder.parameters()) parameters.push_back(tensor);
  torch::optim::AdamW optimizer(parameters, torch::optim::AdamWOptions(kLearningRate));
  std::vector<int64_t> all(batch.sequences());
  for (int64_t s = 0; s < batch.sequences(); ++s) all[s] = s;
  const learner::SequencePack pack = learner::PackSequences(batch, all);
  const auto indices = [](const std::vector<int32_t>& from) {
    return at::tensor(std::vector<int64_t>(from.begin(), from.end()));
  };
  const at::Tensor rows = indices(pack.rows);
  const at::Tensor targets = indices(pack.targets).unsqueeze(1);
  return MedianSeconds(options.rounds, [&] {
    optimizer.zero_grad();
    const at::Tensor logits = decoder.Forward({pack.tokens, pack.starts}).index_select(0, rows);
    (-logits.log_softmax(-1).gather(1, targets).mean()).backward();
    torch::nn::utils::clip_grad_norm_(parameters, 1.0);
    optimizer.step();
    return absl::OkStatus();
  });
}

absl::Status Run(const Options& options) {
  PONDER_ASSIGN_OR_RETURN(const moe::Model model, moe::LoadModel(options.model));
  const learner::PolicyBatch batch = MakeBatch(model.config, options);
  kernels::ThreadPool pool(options.threads);
  const double peak = FmaPeak(pool);
  const auto tokens = static_cast<double>(options.batch * options.length);
  const double flops = 6 * static_cast<double>(moe::CountParameters(model.config).active) * tokens;
  const auto print = [&](const char* name, double seconds) {
    std::printf(
        "{\"implementation\": \"%s\", \"batch\": %lld, \"length\": %lld, \"threads\": %d, "
        "\"tokens_per_s\": %.0f, \"share_of_fma_peak\": %.3f, \"fma_peak_gflops\": %.0f}\n",
        name, static_cast<long long>(options.batch), static_cast<long long>(options.length),
        options.threads, tokens / seconds, flops / seconds / peak, peak / 1e9);
    std::fflush(stdout);
  };
  PONDER_ASSIGN_OR_RETURN(const double ours, OurSeconds(options, model, batch));
  print("ponder", ours);
  if (options.ours_only) return absl::OkStatus();
  PONDER_ASSIGN_OR_RETURN(const double plain, PlainSeconds(options, model, batch));
  print("plain_libtorch", plain);
  std::printf("{\"ratio_to_plain\": %.2f}\n", plain / ours);
  return absl::OkStatus();
}

}  // namespace
}  // namespace ponder::bench

int main(int argc, char** argv) {
  ponder::bench::Options options;
  CLI::App app("Times a training step beside plain LibTorch; prints a JSON line for each.");
  app.add_option("--model", options.model, "folder of the model")->required();
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--batch", options.batch, "sequences")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--length", options.length, "tokens of each")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "timed updates; the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--ours-only", options.ours_only, "without the plain one, which takes minutes");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = ponder::bench::Run(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench_train_step: %s\n", std::string(status.message()).c_str());
  return 1;
}

#include "learner/sft_loop.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/philox.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "learner/schedule.h"
#include "nlohmann/json.hpp"

namespace ponder::learner {

SftLoop::SftLoop(const Options& options, const TrainState& start,
                 const std::vector<Example>& examples, moe::Decoder& decoder, Updater& updater,
                 const Mesh& mesh, MetricsLog* metrics)
    : options_(options),
      state_(start),
      examples_(examples),
      decoder_(decoder),
      updater_(updater),
      mesh_(mesh),
      metrics_(metrics) {}

absl::Status SftLoop::Run() {
  const auto save = [this] {
    return SaveTraining(options_.checkpoints, state_, decoder_, updater_.optimizer(), mesh_,
                        options_.keep_checkpoints, options_.carried, /*value=*/nullptr,
                        updater_.gradient_step().lora());
  };
  while (state_.step < options_.steps) {
    PONDER_ASSIGN_OR_RETURN(const bool stop, AgreeToStop());
    if (stop) {
      PONDER_RETURN_IF_ERROR(save());
      return absl::CancelledError(absl::StrCat("stopped after step ", state_.step));
    }
    const absl::Time start = SteadyNow();
    const double lr = WarmupCosine(options_.lr, options_.min_lr, options_.warmup_steps,
                                   options_.steps, state_.step);
    PONDER_ASSIGN_OR_RETURN(const Updater::Report report,
                            updater_.SupervisedUpdate(NextBatch(), lr));
    ++state_.step;
    ++state_.optimizer_step;
    const double seconds = absl::ToDoubleSeconds(SteadyNow() - start);
    if (metrics_ != nullptr) {
      PONDER_RETURN_IF_ERROR(
          metrics_->Write({{"event", "sft_step"},
                           {"step", state_.step},
                           {"steps", options_.steps},
                           {"loss", report.stats.loss},
                           {"entropy", report.stats.entropy / report.stats.tokens},
                           {"lr", lr},
                           {"grad_norm", report.grad_norm},
                           {"expert_load", report.router.MeanLoadImbalance()},
                           {"starving_experts", report.router.StarvingExperts().size()},
                           {"tokens", report.tokens},
                           {"tokens_per_s", static_cast<double>(report.tokens) / seconds},
                           {"seconds", seconds}}));
    }
    if (report.stats.loss <= options_.target_loss) break;
    if (state_.step % options_.checkpoint_every == 0 && state_.step < options_.steps) {
      PONDER_RETURN_IF_ERROR(save());
    }
  }
  return save();
}

absl::StatusOr<bool> SftLoop::AgreeToStop() {
  uint8_t stop = stopping_;
  PONDER_RETURN_IF_ERROR(mesh_.world->Broadcast(absl::MakeSpan(&stop, 1), 0));
  return stop != 0;
}

PolicyBatch SftLoop::NextBatch() {
  const int64_t n = static_cast<int64_t>(examples_.size());
  PolicyBatch batch;
  for (int64_t i = 0; i < options_.batch_size; ++i) {
    const int64_t position = state_.step * options_.batch_size + i;
    if (position / n != epoch_) {
      epoch_ = position / n;
      order_.resize(examples_.size());
      std::iota(order_.begin(), order_.end(), int64_t{0});
      Rng rng(options_.seed, absl::StrCat("sft.epoch.", epoch_));
      for (int64_t j = n - 1; j > 0; --j) std::swap(order_[j], order_[rng.NextInt(0, j)]);
    }
    const Example& example = examples_[order_[position % n]];
    batch.Append(example.prompt, example.response);
  }
  return batch;
}

}  // namespace ponder::learner

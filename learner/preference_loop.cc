#include "learner/preference_loop.h"

#include <ATen/ATen.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "learner/schedule.h"
#include "nlohmann/json.hpp"

namespace ponder::learner {

double PreferenceLoss(double difference, double* slope) {
  // Both forms are exact at their end.
  const double loss = difference > 0 ? std::log1p(std::exp(-difference))
                                     : std::log1p(std::exp(difference)) - difference;
  *slope = -1 / (1 + std::exp(difference));
  return loss;
}

PreferenceLoop::PreferenceLoop(const Options& options, const TrainState& start,
                               const std::vector<PreferencePair>& pairs, moe::Decoder& decoder,
                               GradientStep& step, moe::Decoder* reference, const Mesh& mesh,
                               MetricsLog* metrics)
    : options_(options),
      state_(start),
      pairs_(pairs),
      decoder_(decoder),
      step_(step),
      reference_(reference),
      mesh_(mesh),
      metrics_(metrics),
      order_(options.seed, static_cast<int64_t>(pairs.size()), /*group_size=*/1) {}

absl::Status PreferenceLoop::Run() {
  while (state_.step < options_.steps) {
    uint8_t stop = stopping_;
    PONDER_RETURN_IF_ERROR(mesh_.world->Broadcast(absl::MakeSpan(&stop, 1), 0));
    if (stop != 0) {
      PONDER_RETURN_IF_ERROR(Save());
      return absl::CancelledError(absl::StrCat("stopped after step ", state_.step));
    }
    const absl::Time start = SteadyNow();
    const double lr = WarmupCosine(options_.lr, options_.min_lr, options_.warmup_steps,
                                   options_.steps, state_.step);
    PONDER_ASSIGN_OR_RETURN(const Report report, Update(lr));
    const double seconds = absl::ToDoubleSeconds(SteadyNow() - start);
    if (metrics_ != nullptr) {
      PONDER_RETURN_IF_ERROR(metrics_->Write({{"event", "preference_step"},
                                              {"step", state_.step},
                                              {"steps", options_.steps},
                                              {"loss", report.loss},
                                              {"accuracy", report.accuracy},
                                              {"difference", report.difference},
                                              {"lr", lr},
                                              {"grad_norm", report.grad_norm},
                                              {"tokens", report.tokens},
                                              {"seconds", seconds}}));
    }
    if (state_.step % options_.checkpoint_every == 0 && state_.step < options_.steps) {
      PONDER_RETURN_IF_ERROR(Save());
    }
  }
  return Save();
}

absl::Status PreferenceLoop::Save() {
  return SaveTraining(options_.checkpoints, state_, decoder_, step_.optimizer(), mesh_,
                      options_.keep_checkpoints, options_.carried, /*value=*/nullptr, step_.lora());
}

PolicyBatch PreferenceLoop::NextBatch(std::vector<double>* margins) {
  PolicyBatch batch;
  for (int64_t i = 0; i < options_.batch_size; ++i) {
    const PreferencePair& pair = pairs_[order_.Find(state_.step * options_.batch_size + i).prompt];
    batch.Append(pair.prompt, pair.chosen);
    batch.Append(pair.prompt, pair.rejected);
    margins->push_back(pair.margin);
  }
  return batch;
}

absl::StatusOr<PreferenceLoop::Report> PreferenceLoop::Update(double lr) {
  std::vector<double> margins;
  PolicyBatch batch = NextBatch(&margins);
  if (reference_ != nullptr) {
    PONDER_ASSIGN_OR_RETURN(
        batch.reference_logprobs,
        ForwardLogprobs({options_.max_tokens_per_microbatch, 1}, batch, *reference_, mesh_));
  }
  std::vector<int64_t> loads;
  for (size_t i = 0; i < margins.size(); ++i)
    loads.push_back(batch.length(2 * i) + batch.length(2 * i + 1));
  const std::vector<MicroBatches> split =
      SplitLoads(loads, mesh_.world->size(), options_.max_tokens_per_microbatch);
  step_.Begin();
  Report report;
  for (const std::vector<int64_t>& pairs : split[mesh_.world->rank()])
    PONDER_RETURN_IF_ERROR(Accumulate(batch, pairs, margins, &report));
  PONDER_ASSIGN_OR_RETURN(report.grad_norm, step_.Sum());
  double sums[] = {report.loss, report.accuracy, report.difference,
                   static_cast<double>(report.tokens)};
  PONDER_RETURN_IF_ERROR(mesh_.world->AllReduceSum(absl::MakeSpan(sums)));
  report.loss = sums[0];
  report.accuracy = sums[1];
  report.difference = sums[2];
  report.tokens = static_cast<int64_t>(sums[3]);
  PONDER_RETURN_IF_ERROR(step_.Apply(report.loss, report.grad_norm, lr));
  decoder_.TakeRouterStats();
  ++state_.step;
  ++state_.optimizer_step;
  return report;
}

absl::Status PreferenceLoop::Accumulate(const PolicyBatch& batch, absl::Span<const int64_t> pairs,
                                        const std::vector<double>& margins, Report* report) {
  std::vector<int64_t> sequences;
  for (const int64_t pair : pairs) sequences.insert(sequences.end(), {2 * pair, 2 * pair + 1});
  const SequencePack pack = PackSequences(batch, sequences);
  report->tokens += static_cast<int64_t>(pack.tokens.size());
  // What is compared: sums of log-probs, or the outputs at the last tokens.
  const bool dpo = reference_ != nullptr;
  at::Tensor out;
  if (dpo) {
    PONDER_ASSIGN_OR_RETURN(const moe::TokenStats stats,
                            decoder_.Forward({pack.tokens, pack.starts}, pack.rows, pack.targets,
                                             /*temperature=*/1));
    out = stats.logprob;
  } else {
    std::vector<int32_t> last;
    for (size_t s = 1; s < pack.starts.size(); ++s)
      last.push_back(static_cast<int32_t>(pack.starts[s] - 1));
    PONDER_ASSIGN_OR_RETURN(out, decoder_.ForwardValues({pack.tokens, pack.starts}, last));
  }
  const float* values = out.data_ptr<float>();
  const auto score = [&](size_t s) {
    if (!dpo) return double{values[s]};
    double sum = 0;
    for (int64_t n = pack.responses[s]; n < pack.responses[s + 1]; ++n)
      sum += double{values[n]} - batch.reference_logprobs[pack.places[n]];
    return options_.beta * sum;
  };
  std::vector<float> gradient(static_cast<size_t>(out.numel()));
  const auto count = static_cast<double>(margins.size());
  for (size_t i = 0; i < pairs.size(); ++i) {
    const double difference = score(2 * i) - score(2 * i + 1) - margins[pairs[i]];
    double slope = 0;
    report->loss += PreferenceLoss(difference, &slope) / count;
    report->accuracy += (difference > 0) / count;
    report->difference += difference / count;
    for (const size_t s : {2 * i, 2 * i + 1}) {
      const double sign = s == 2 * i ? 1 : -1;
      if (!dpo) {
        gradient[s] = static_cast<float>(sign * slope / count);
        continue;
      }
      for (int64_t n = pack.responses[s]; n < pack.responses[s + 1]; ++n)
        gradient[n] = static_cast<float>(sign * options_.beta * slope / count);
    }
  }
  const at::Tensor by_out = at::from_blob(gradient.data(), {out.numel()}, at::ScalarType::Float);
  return decoder_.Backward((out * by_out).sum());
}

}  // namespace ponder::learner

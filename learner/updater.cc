#include "learner/updater.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "base/status.h"

namespace ponder::learner {
namespace {

double SumOfSquares(absl::Span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += double{value} * value;
  return sum;
}

template <typename T>
at::Tensor View(std::vector<T>& values, at::ScalarType dtype) {
  return at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, dtype);
}

}  // namespace

Updater::Updater(const Options& options, moe::Decoder& decoder, const Mesh& mesh)
    : options_(options),
      decoder_(decoder),
      mesh_(mesh),
      optimizer_(options.adamw, decoder.parameters()) {}

void Updater::Report::Add(const Report& other) {
  stats.loss += other.stats.loss;
  stats.tokens += other.stats.tokens;
  stats.clipped += other.stats.clipped;
  stats.kl += other.stats.kl;
  stats.entropy += other.stats.entropy;
  stats.on_policy_tokens += other.stats.on_policy_tokens;
  stats.gap_max = std::max(stats.gap_max, other.stats.gap_max);
  grad_norm = std::max(grad_norm, other.grad_norm);
  tokens += other.tokens;
  router = other.router;
}

absl::StatusOr<Updater::Report> Updater::PolicyUpdate(const PolicyBatch& batch,
                                                      absl::Span<const int64_t> chosen,
                                                      int64_t version, double lr) {
  return Update(Objective::kPolicy, batch, chosen, version, lr);
}

absl::StatusOr<Updater::Report> Updater::SupervisedUpdate(const PolicyBatch& batch, double lr) {
  std::vector<int64_t> all(static_cast<size_t>(batch.sequences()));
  std::iota(all.begin(), all.end(), int64_t{0});
  return Update(Objective::kSupervised, batch, all, -1, lr);
}

absl::StatusOr<Updater::Report> Updater::Update(Objective objective, const PolicyBatch& batch,
                                                absl::Span<const int64_t> chosen, int64_t version,
                                                double lr) {
  double denominator = 0;
  for (const int64_t s : chosen) denominator += static_cast<double>(batch.response_length(s));
  PONDER_CHECK(denominator > 0, "an update needs at least one response token");

  const std::vector<MicroBatches> split =
      SplitBatch(batch, chosen, mesh_.world->size(), options_.max_tokens_per_microbatch);
  decoder_.ZeroGradients();
  Report report;
  for (const std::vector<int64_t>& sequences : split[mesh_.world->rank()]) {
    PONDER_RETURN_IF_ERROR(Accumulate(objective, batch, sequences, version, denominator, &report));
  }
  PONDER_RETURN_IF_ERROR(SumGradients());
  PONDER_RETURN_IF_ERROR(SumReport(&report));
  PONDER_ASSIGN_OR_RETURN(report.grad_norm, GradNorm());
  if (!std::isfinite(report.grad_norm) || !std::isfinite(report.stats.loss)) {
    return absl::InternalError(
        absl::StrCat("loss ", report.stats.loss, " or gradient norm ", report.grad_norm,
                     " is not finite at learning rate ", lr,
                     "; the weights were left as they were; lower learner.optimizer.lr"));
  }
  optimizer_.Step(lr, std::min(1.0, options_.max_grad_norm / (report.grad_norm + 1e-6)));
  decoder_.WeightsChanged();
  report.router = decoder_.TakeRouterStats();
  return report;
}

absl::Status Updater::Accumulate(Objective objective, const PolicyBatch& batch,
                                 absl::Span<const int64_t> sequences, int64_t version,
                                 double denominator, Report* report) {
  // The log-prob of token t + 1 comes from row t.
  moe::PackedBatch packed;
  std::vector<int32_t> rows, targets;
  std::vector<float> behaviour, advantage;
  std::vector<bool> on_policy;
  packed.starts = {0};
  for (const int64_t s : sequences) {
    const int64_t begin = batch.starts[s];
    const int64_t offset = packed.starts.back() - begin;
    packed.tokens.insert(packed.tokens.end(), batch.tokens.begin() + begin,
                         batch.tokens.begin() + batch.starts[s + 1]);
    packed.starts.push_back(static_cast<int64_t>(packed.tokens.size()));
    for (int64_t t = begin + batch.prompt_lengths[s]; t < batch.starts[s + 1]; ++t) {
      rows.push_back(static_cast<int32_t>(t - 1 + offset));
      targets.push_back(batch.tokens[t]);
      behaviour.push_back(batch.behaviour_logprobs[t]);
      advantage.push_back(batch.advantages[s]);
      on_policy.push_back(batch.versions[t] == version);
    }
  }
  PONDER_ASSIGN_OR_RETURN(
      const moe::TokenStats out,
      decoder_.Forward(packed, rows, targets, static_cast<float>(options_.temperature)));
  PolicyStats& stats = report->stats;
  at::Tensor loss;
  if (objective == Objective::kPolicy) {
    loss = PolicyLoss(out.logprob, View(behaviour, at::kFloat), View(advantage, at::kFloat),
                      denominator, options_.policy_loss, &stats);
    const float* logprob = out.logprob.data_ptr<float>();
    for (size_t i = 0; i < behaviour.size(); ++i) {
      if (!on_policy[i]) continue;
      ++stats.on_policy_tokens;
      stats.gap_max = std::max(stats.gap_max, std::abs(double{logprob[i]} - double{behaviour[i]}));
    }
  } else {
    loss = NllLoss(out.logprob, denominator);
    stats.loss += loss.item<double>();
    stats.tokens += static_cast<double>(targets.size());
  }
  stats.entropy += out.entropy.sum().item<double>();
  report->tokens += static_cast<int64_t>(packed.tokens.size());
  return decoder_.Backward(loss);
}

absl::Status Updater::SumGradients() {
  if (mesh_.world->size() == 1) return absl::OkStatus();
  PONDER_RETURN_IF_ERROR(mesh_.world->AllReduceSum(decoder_.replicated_gradients()));
  return mesh_.expert_data->AllReduceSum(decoder_.expert_gradients());
}

absl::StatusOr<double> Updater::GradNorm() {
  double experts = SumOfSquares(decoder_.expert_gradients());
  PONDER_RETURN_IF_ERROR(mesh_.expert->AllReduceSum(absl::MakeSpan(&experts, 1)));
  return std::sqrt(SumOfSquares(decoder_.replicated_gradients()) + experts);
}

absl::Status Updater::SumReport(Report* report) {
  PolicyStats& stats = report->stats;
  double sums[] = {stats.loss,
                   stats.tokens,
                   stats.clipped,
                   stats.kl,
                   stats.entropy,
                   stats.on_policy_tokens,
                   static_cast<double>(report->tokens)};
  PONDER_RETURN_IF_ERROR(mesh_.world->AllReduceSum(absl::MakeSpan(sums)));
  std::vector<double> gaps(static_cast<size_t>(mesh_.world->size()));
  PONDER_RETURN_IF_ERROR(mesh_.world->AllGather(
      absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(&stats.gap_max), sizeof(double)),
      absl::MakeSpan(reinterpret_cast<uint8_t*>(gaps.data()), gaps.size() * sizeof(double))));
  stats.loss = sums[0];
  stats.tokens = sums[1];
  stats.clipped = sums[2];
  stats.kl = sums[3];
  stats.entropy = sums[4];
  stats.on_policy_tokens = sums[5];
  report->tokens = static_cast<int64_t>(sums[6]);
  stats.gap_max = *std::max_element(gaps.begin(), gaps.end());
  return absl::OkStatus();
}

}  // namespace ponder::learner

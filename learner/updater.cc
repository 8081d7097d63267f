#include "learner/updater.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/status.h"
#include "learner/forward.h"

namespace ponder::learner {
namespace {

at::Tensor View(std::vector<float>& values) {
  return at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, at::ScalarType::Float);
}

absl::Span<const float> ValuesOf(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

// The statistics that are sums.
std::vector<double*> Sums(PolicyStats& stats) {
  return {&stats.loss,    &stats.tokens,       &stats.clipped,
          &stats.kl,      &stats.reference_kl, &stats.corrected,
          &stats.entropy, &stats.positive_nll, &stats.on_policy_tokens};
}

}  // namespace

Updater::Updater(const Options& options, moe::Decoder& decoder, const Mesh& mesh)
    : options_(options), decoder_(decoder), mesh_(mesh), step_(options.step, decoder, mesh) {}

void Updater::Report::Add(const Report& other) {
  PolicyStats theirs = other.stats;
  const std::vector<double*> to = Sums(stats);
  const std::vector<double*> from = Sums(theirs);
  for (size_t i = 0; i < to.size(); ++i) *to[i] += *from[i];
  stats.gap_max = std::max(stats.gap_max, other.stats.gap_max);
  grad_norm = std::max(grad_norm, other.grad_norm);
  tokens += other.tokens;
  router = other.router;
  value.loss += other.value.loss;
  value.grad_norm = std::max(value.grad_norm, other.value.grad_norm);
}

absl::StatusOr<Updater::Report> Updater::PolicyUpdate(const PolicyBatch& batch,
                                                      absl::Span<const int64_t> chosen,
                                                      int64_t version, double lr, double value_lr) {
  return Update(Kind::kPolicy, batch, chosen, version, lr, value_lr);
}

absl::StatusOr<Updater::Report> Updater::SupervisedUpdate(const PolicyBatch& batch, double lr) {
  std::vector<int64_t> all(static_cast<size_t>(batch.sequences()));
  std::iota(all.begin(), all.end(), int64_t{0});
  return Update(Kind::kSupervised, batch, all, -1, lr, 0);
}

absl::StatusOr<Updater::Report> Updater::Update(Kind kind, const PolicyBatch& batch,
                                                absl::Span<const int64_t> chosen, int64_t version,
                                                double lr, double value_lr) {
  const Denominators denominators = CountDenominators(batch, chosen);
  PONDER_CHECK(denominators.tokens > 0, "an update needs at least one response token");
  const std::vector<MicroBatches> split =
      SplitBatch(batch, chosen, mesh_.world->size(), options_.max_tokens_per_microbatch);
  PONDER_RETURN_IF_ERROR(SetRouterLoss(batch, chosen, split[mesh_.world->rank()]));
  step_.Begin();
  const bool values = kind == Kind::kPolicy && value_ != nullptr;
  if (values) value_->Begin(batch, chosen);
  Report report;
  for (const std::vector<int64_t>& sequences : split[mesh_.world->rank()]) {
    PONDER_RETURN_IF_ERROR(Accumulate(kind, batch, sequences, version, denominators, &report));
  }
  PONDER_ASSIGN_OR_RETURN(report.grad_norm, step_.Sum());
  PONDER_RETURN_IF_ERROR(SumReport(&report));
  report.router = decoder_.TakeRouterStats();
  PONDER_RETURN_IF_ERROR(SumRouter(&report.router));
  if (values) {
    PONDER_ASSIGN_OR_RETURN(report.value, value_->Sum());
  }
  PONDER_RETURN_IF_ERROR(step_.Apply(report.stats.loss, report.grad_norm, lr));
  if (values) PONDER_RETURN_IF_ERROR(value_->Apply(report.value, value_lr));
  if (options_.router.bias_speed > 0) {
    decoder_.NudgeSelectionBias(report.router.expert_tokens, options_.router.bias_speed);
  }
  return report;
}

absl::Status Updater::SetRouterLoss(const PolicyBatch& batch, absl::Span<const int64_t> chosen,
                                    const MicroBatches& share) {
  const RouterBalance& balance = options_.router;
  double tokens = 0;
  for (const int64_t sequence : chosen) tokens += static_cast<double>(batch.length(sequence));
  moe::RouterLoss loss;
  loss.z_per_token = balance.z_coef / tokens;
  if (balance.kind == RouterBalance::Kind::kSequence) {
    loss.per_sequence = balance.coef / static_cast<double>(chosen.size());
  } else if (balance.kind == RouterBalance::Kind::kBatch) {
    const at::NoGradGuard no_grad;
    decoder_.TakeRouterStats();  // what other passes left
    for (const std::vector<int64_t>& sequences : share) {
      const SequencePack pack = PackSequences(batch, sequences);
      PONDER_RETURN_IF_ERROR(
          decoder_.Forward(PackedOf(pack, /*replay=*/true), pack.rows, pack.targets, 1).status());
    }
    moe::RouterStats router = decoder_.TakeRouterStats();
    PONDER_RETURN_IF_ERROR(SumRouter(&router));
    loss.per_token = balance.coef / tokens;
    loss.load = moe::LoadOf(router.expert_tokens);
  }
  decoder_.SetRouterLoss(std::move(loss));
  decoder_.TakeRouterStats();
  return absl::OkStatus();
}

absl::Status Updater::SumRouter(moe::RouterStats* router) {
  std::vector<double> sums = {router->entropy_sum,
                              static_cast<double>(router->tokens),
                              router->loss.balance,
                              router->loss.z,
                              static_cast<double>(router->replayed),
                              static_cast<double>(router->rerouted)};
  for (const std::vector<int64_t>& counts : router->expert_tokens) {
    sums.insert(sums.end(), counts.begin(), counts.end());
  }
  PONDER_RETURN_IF_ERROR(mesh_.world->AllReduceSum(absl::MakeSpan(sums)));
  router->entropy_sum = sums[0];
  router->tokens = static_cast<int64_t>(sums[1]);
  router->loss = {sums[2], sums[3]};
  router->replayed = static_cast<int64_t>(sums[4]);
  router->rerouted = static_cast<int64_t>(sums[5]);
  size_t next = 6;
  for (std::vector<int64_t>& counts : router->expert_tokens) {
    for (int64_t& count : counts) count = static_cast<int64_t>(sums[next++]);
  }
  return absl::OkStatus();
}

absl::Status Updater::Accumulate(Kind kind, const PolicyBatch& batch,
                                 absl::Span<const int64_t> sequences, int64_t version,
                                 const Denominators& denominators, Report* report) {
  const SequencePack pack = PackSequences(batch, sequences);
  const bool values = kind == Kind::kPolicy && value_ != nullptr;
  PONDER_ASSIGN_OR_RETURN(const moe::TokenStats out,
                          decoder_.Forward(PackedOf(pack, /*replay=*/true), pack.rows, pack.targets,
                                           static_cast<float>(options_.temperature), values));
  PolicyStats& stats = report->stats;
  const absl::Span<const float> logprob = ValuesOf(out.logprob);
  const absl::Span<const float> entropy = ValuesOf(out.entropy);
  ObjectiveGradient gradient = kind == Kind::kPolicy
                                   ? PolicyObjective(options_.objective, batch, sequences, pack,
                                                     logprob, entropy, denominators, &stats)
                                   : NllObjective(logprob, denominators, &stats);
  for (size_t i = 0; i < sequences.size(); ++i) {
    if (kind == Kind::kPolicy && !batch.included[sequences[i]]) continue;
    for (int64_t n = pack.responses[i]; n < pack.responses[i + 1]; ++n) {
      const int64_t place = pack.places[n];
      stats.entropy += entropy[n];
      if (kind == Kind::kSupervised || batch.versions[place] != version) continue;
      ++stats.on_policy_tokens;
      stats.gap_max = std::max(
          stats.gap_max, std::abs(double{logprob[n]} - double{batch.behaviour_logprobs[place]}));
    }
  }
  report->tokens += static_cast<int64_t>(pack.tokens.size());
  // A function of the forward pass with the objective's gradient.
  at::Tensor loss = (out.logprob * View(gradient.logprob)).sum();
  if (!gradient.entropy.empty()) loss = loss + (out.entropy * View(gradient.entropy)).sum();
  if (values) loss = loss + value_->Loss(batch, pack, out.hidden);
  return decoder_.Backward(loss);
}

absl::Status Updater::SumReport(Report* report) {
  PolicyStats& stats = report->stats;
  const std::vector<double*> fields = Sums(stats);
  std::vector<double> sums;
  for (const double* field : fields) sums.push_back(*field);
  sums.push_back(static_cast<double>(report->tokens));
  PONDER_RETURN_IF_ERROR(mesh_.world->AllReduceSum(absl::MakeSpan(sums)));
  for (size_t i = 0; i < fields.size(); ++i) *fields[i] = sums[i];
  report->tokens = static_cast<int64_t>(sums.back());
  std::vector<double> gaps(static_cast<size_t>(mesh_.world->size()));
  PONDER_RETURN_IF_ERROR(mesh_.world->AllGather(
      absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(&stats.gap_max), sizeof(double)),
      absl::MakeSpan(reinterpret_cast<uint8_t*>(gaps.data()), gaps.size() * sizeof(double))));
  stats.gap_max = *std::max_element(gaps.begin(), gaps.end());
  return absl::OkStatus();
}

}  // namespace ponder::learner

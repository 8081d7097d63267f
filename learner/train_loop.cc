#include "learner/train_loop.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/log.h"
#include "base/philox.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "learner/schedule.h"
#include "moe/routing_record.h"
#include "nlohmann/json.hpp"

namespace ponder::learner {
namespace {

double SecondsSince(absl::Time start) { return absl::ToDoubleSeconds(SteadyNow() - start); }

// The sequences of a batch in `parts` random parts of nearly equal size; none is empty.
std::vector<std::vector<int64_t>> Minibatches(int64_t sequences, int64_t parts, uint64_t seed,
                                              int64_t step) {
  std::vector<int64_t> order(static_cast<size_t>(sequences));
  std::iota(order.begin(), order.end(), int64_t{0});
  Rng rng(seed, absl::StrCat("minibatches.", step));
  for (int64_t i = sequences - 1; i > 0; --i) std::swap(order[i], order[rng.NextInt(0, i)]);
  parts = std::min(parts, sequences);
  std::vector<std::vector<int64_t>> split(static_cast<size_t>(parts));
  for (int64_t i = 0; i < sequences; ++i) split[i % parts].push_back(order[i]);
  return split;
}

// Of each source of the groups: the means of what its rewards are made of, and the running moments
// that they were normalised with.
nlohmann::ordered_json RewardsJson(const std::vector<Group>& groups,
                                   const std::vector<std::vector<Score>>& scores,
                                   const reward::SourceNormaliser::Moments& moments) {
  struct Sums {
    double samples = 0, correctness = 0, preference = 0, normalised = 0, overlong = 0, reward = 0;
  };
  std::map<std::string, Sums> by_source;
  for (size_t g = 0; g < groups.size(); ++g) {
    Sums& sums = by_source[groups[g].prompt.source];
    for (const Score& score : scores[g]) {
      ++sums.samples;
      sums.correctness += score.correctness;
      sums.preference += score.preference;
      sums.normalised += score.normalised;
      sums.overlong += score.overlong;
      sums.reward += score.reward;
    }
  }
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const auto& [source, sums] : by_source) {
    const reward::RunningMoments& running = moments.at(source);
    json.push_back({{"source", source},
                    {"samples", sums.samples},
                    {"correctness", sums.correctness / sums.samples},
                    {"preference", sums.preference / sums.samples},
                    {"normalised", sums.normalised / sums.samples},
                    {"overlong", sums.overlong / sums.samples},
                    {"reward", sums.reward / sums.samples},
                    {"mean", running.mean},
                    {"deviation", running.deviation()}});
  }
  return json;
}

// Those that were drawn from, or can be.
nlohmann::ordered_json DomainsJson(const std::vector<Curriculum::Domain>& domains) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Curriculum::Domain& domain : domains) {
    if (domain.groups == 0 && domain.share == 0) continue;
    json.push_back({{"source", domain.source},
                    {"level", domain.level},
                    {"groups", domain.groups},
                    {"pass_rate", domain.pass_rate},
                    {"share", domain.share}});
  }
  return json;
}

}  // namespace

TrainLoop::TrainLoop(const Options& options, const TrainState& start, moe::Decoder& decoder,
                     Updater& updater, const Mesh& mesh, const Services& services,
                     const Companions& companions)
    : options_(options),
      state_(start),
      normaliser_(options.normalisation, start.rewards),
      decoder_(decoder),
      updater_(updater),
      mesh_(mesh),
      services_(services),
      companions_(companions) {}

absl::Status TrainLoop::Run() {
  const bool leads = mesh_.world->rank() == 0;
  PONDER_RETURN_IF_ERROR(Publish());
  while (true) {
    SamplePool::Taken taken;
    double wait_seconds = 0;
    PONDER_ASSIGN_OR_RETURN(const Command command, NextCommand(&taken, &wait_seconds));
    if (command == Command::kFinish) return Save();
    if (command == Command::kStop) {
      PONDER_RETURN_IF_ERROR(Save());
      return absl::CancelledError(absl::StrCat("stopped after step ", state_.step));
    }

    const absl::Time start = SteadyNow();
    std::vector<std::vector<Score>> scores;
    PolicyBatch batch = Pack(taken, &scores);
    PONDER_RETURN_IF_ERROR(BroadcastBatch(*mesh_.world, &batch));
    Report report;
    if (command == Command::kTrain) {
      PONDER_RETURN_IF_ERROR(Judge(&batch));
      PONDER_ASSIGN_OR_RETURN(report, Train(batch));
      if (report.trained) ++state_.version;
    }
    ++state_.step;
    PONDER_RETURN_IF_ERROR(Publish());
    if (leads) {
      PONDER_RETURN_IF_ERROR(services_.pool->Retire(state_.step, state_.version));
      const SamplePool::Position position = services_.pool->position();
      state_.next_group_id = position.next_group_id;
      state_.curriculum = position.curriculum;
      PONDER_RETURN_IF_ERROR(Log(taken, scores, report, wait_seconds, SecondsSince(start)));
      if (options_.on_first_update && command == Command::kTrain && !updated_) {
        updated_ = true;
        PONDER_RETURN_IF_ERROR(options_.on_first_update());
      }
    }
    if (state_.step % options_.checkpoint_every == 0) PONDER_RETURN_IF_ERROR(Save());
  }
}

void TrainLoop::Stop() {
  stopping_ = true;
  if (services_.pool != nullptr) services_.pool->Close();
}

absl::StatusOr<TrainLoop::Command> TrainLoop::NextCommand(SamplePool::Taken* taken,
                                                          double* wait_seconds) {
  Command command = Command::kFinish;
  absl::Status failure;
  if (mesh_.world->rank() == 0 && state_.step < options_.value_pretrain_steps + options_.steps) {
    const absl::Time start = SteadyNow();
    absl::StatusOr<SamplePool::Taken> groups = services_.pool->Take(start + options_.take_timeout);
    *wait_seconds = SecondsSince(start);
    if (groups.ok()) {
      *taken = *std::move(groups);
      command = taken->groups.empty() ? Command::kSkip : Command::kTrain;
    } else {
      command = Command::kStop;
      if (!stopping_) failure = groups.status();
    }
  }
  PONDER_RETURN_IF_ERROR(mesh_.world->Broadcast(
      absl::MakeSpan(reinterpret_cast<uint8_t*>(&command), sizeof(command)), 0));
  PONDER_RETURN_IF_ERROR(failure);
  return command;
}

PolicyBatch TrainLoop::Pack(const SamplePool::Taken& taken,
                            std::vector<std::vector<Score>>* scores) {
  for (const Group& group : taken.groups) {
    scores->push_back(reward::ScoreGroup(group, options_.reward));
    normaliser_.Learn(group.prompt.source, scores->back());
  }
  state_.rewards = normaliser_.moments();
  PolicyBatch batch;
  const moe::RoutingShape routing = moe::RoutingShape::Of(decoder_.config());
  if (options_.replay_routing) batch.routing_slots = routing.token_slots();
  for (size_t g = 0; g < taken.groups.size(); ++g) {
    const Group& group = taken.groups[g];
    reward::Normalise(normaliser_.Of(group.prompt.source), &(*scores)[g]);
    for (size_t i = 0; i < group.samples.size(); ++i) {
      const Score& score = (*scores)[g][i];
      const Rollout& rollout = group.samples[i].rollout;
      const bool truncated = rollout.stop_reason == StopReason::kLength;
      std::vector<uint16_t> routed;
      if (options_.replay_routing) {
        const auto fed =
            static_cast<int64_t>(rollout.prompt_tokens.size() + rollout.tokens.size()) - 1;
        auto read = moe::ReadRouting(routing, rollout.routed_experts, fed);
        PONDER_CHECK(read.ok(), "the pool let it pass: ", read.status().ToString());
        routed = *std::move(read);
      }
      batch.Append(rollout,
                   {score.reward, group.group_id, score.correct,
                    !(options_.overlong_filtering && truncated)},
                   routed);
    }
  }
  return batch;
}

absl::Status TrainLoop::Judge(PolicyBatch* batch) {
  ForwardOptions forward{updater_.options().max_tokens_per_microbatch,
                         updater_.options().temperature};
  if (companions_.reference != nullptr) {
    PONDER_ASSIGN_OR_RETURN(batch->reference_logprobs,
                            ForwardLogprobs(forward, *batch, *companions_.reference, mesh_));
  }
  if (options_.proximal) {
    forward.replay = options_.replay_routing;
    PONDER_ASSIGN_OR_RETURN(batch->proximal_logprobs,
                            ForwardLogprobs(forward, *batch, decoder_, mesh_));
  }
  if (companions_.value != nullptr) {
    PONDER_ASSIGN_OR_RETURN(batch->values, companions_.value->Predict(*batch));
  }
  if (companions_.shared_value != nullptr) {
    PONDER_ASSIGN_OR_RETURN(batch->values, companions_.shared_value->Predict(*batch));
  }
  ComputeAdvantages(options_.advantage, batch);
  return absl::OkStatus();
}

absl::StatusOr<TrainLoop::Report> TrainLoop::Train(const PolicyBatch& batch) {
  Report report;
  Updater::Report& total = report.policy;
  SharedValue* const shared = companions_.shared_value;
  if (!batch.values.empty()) report.explained_variance = ExplainedVariance(batch);
  const std::vector<std::vector<int64_t>> minibatches =
      Minibatches(batch.sequences(), options_.minibatches, options_.seed, state_.step);
  // Only the first mini-batch sees the weights that were published.
  const auto note = [&](const ValueModel::Report& value) {
    ++state_.value_step;
    report.value_loss += value.loss / static_cast<double>(minibatches.size());
    report.value_grad_norm = std::max(report.value_grad_norm, value.grad_norm);
  };
  for (const std::vector<int64_t>& chosen : minibatches) {
    const double value_lr =
        WarmupConstant(options_.value_lr, options_.warmup_steps, state_.value_step);
    if (companions_.value != nullptr) {
      PONDER_ASSIGN_OR_RETURN(const ValueModel::Report value,
                              companions_.value->Update(batch, chosen, value_lr));
      note(value);
    }
    if (Pretraining()) {
      if (shared != nullptr) {
        PONDER_ASSIGN_OR_RETURN(const ValueModel::Report value,
                                shared->UpdateHead(batch, chosen, value_lr));
        note(value);
      }
      continue;
    }
    if (CountDenominators(batch, chosen).tokens == 0) {
      ++report.skipped_updates;
      continue;
    }
    const int64_t on_policy_version = report.trained ? -1 : state_.version;
    const double lr = LearningRate(state_.optimizer_step);
    PONDER_ASSIGN_OR_RETURN(const Updater::Report update,
                            updater_.PolicyUpdate(batch, chosen, on_policy_version, lr, value_lr));
    ++state_.optimizer_step;
    if (shared != nullptr) note(update.value);
    report.trained = true;
    total.Add(update);
  }
  const double updates = static_cast<double>(minibatches.size()) - report.skipped_updates;
  total.stats.loss /= std::max(updates, 1.0);
  total.stats.positive_nll /= std::max(updates, 1.0);
  return report;
}

double TrainLoop::LearningRate(int64_t update) const {
  return WarmupCosine(options_.lr, options_.min_lr, options_.warmup_steps,
                      options_.steps * options_.minibatches, update);
}

absl::Status TrainLoop::Publish() {
  PONDER_ASSIGN_OR_RETURN(auto weights, decoder_.Export(state_.version));
  if (mesh_.world->rank() != 0) return absl::OkStatus();
  return services_.weights->Publish(std::move(weights));
}

absl::Status TrainLoop::Save() {
  return SaveTraining(options_.checkpoints, state_, decoder_, updater_.optimizer(), mesh_,
                      options_.keep_checkpoints, options_.carried, companions_.value,
                      updater_.gradient_step().lora(), companions_.shared_value);
}

absl::Status TrainLoop::Log(const SamplePool::Taken& taken,
                            const std::vector<std::vector<Score>>& scores, const Report& step,
                            double wait_seconds, double train_seconds) {
  const Updater::Report& report = step.policy;
  // Accuracy and length are of everything that was sampled, degenerate groups included.
  double correct = 0, judged = 0, tokens = 0, truncated = 0, unparsable = 0, samples = 0;
  const auto count = [&](const Sample& sample) {
    ++samples;
    judged += sample.verdict.outcome != Verdict::Outcome::kScored;
    correct += sample.verdict.outcome == Verdict::Outcome::kCorrect;
    unparsable += sample.verdict.outcome == Verdict::Outcome::kUnparsable;
    truncated += sample.rollout.stop_reason == StopReason::kLength;
    tokens += static_cast<double>(sample.rollout.tokens.size());
  };
  double reward = 0, trained = 0;
  int64_t staleness_max = 0;
  std::vector<int64_t> staleness;
  for (size_t g = 0; g < taken.groups.size(); ++g) {
    for (size_t i = 0; i < taken.groups[g].samples.size(); ++i) {
      const Sample& sample = taken.groups[g].samples[i];
      count(sample);
      reward += scores[g][i].reward;
      ++trained;
      // An update made version `state_.version` from the one before it.
      const int64_t lag =
          state_.version - step.trained - sample.rollout.segments.front().weight_version;
      staleness_max = std::max(staleness_max, lag);
      if (lag >= static_cast<int64_t>(staleness.size())) staleness.resize(lag + 1);
      ++staleness[lag];
    }
  }
  for (const Sample& sample : taken.dropped) count(sample);
  const auto mean = [](double sum, double n) { return n > 0 ? sum / n : 0.0; };
  const PolicyStats& stats = report.stats;
  const std::vector<std::string> starving = report.router.StarvingExperts();
  nlohmann::ordered_json line = {
      {"event", "rl_step"},
      {"step", state_.step},
      {"steps", options_.value_pretrain_steps + options_.steps},
      {"version", state_.version},
      {"reward", mean(reward, trained)},
      {"accuracy", mean(correct, judged)},
      {"response_tokens", mean(tokens, samples)},
      {"truncated", mean(truncated, samples)},
      {"unparsable", mean(unparsable, samples)},
      {"loss", stats.loss},
      {"entropy", mean(stats.entropy, stats.tokens)},
      {"kl", mean(stats.kl, stats.tokens)},
      {"clip_fraction", mean(stats.clipped, stats.tokens)},
      {"logprob_gap_max", stats.gap_max},
      {"on_policy_tokens", stats.on_policy_tokens},
      {"grad_norm", report.grad_norm},
      {"lr", LearningRate(state_.optimizer_step - 1)},
      {"router_entropy", mean(report.router.entropy_sum, report.router.tokens)},
      {"expert_load", report.router.MeanLoadImbalance()},
      {"starving_experts", starving.size()},
      {"groups", taken.groups.size()},
      {"rewards", RewardsJson(taken.groups, scores, normaliser_.moments())},
      {"degenerate_groups", taken.degenerate_groups},
      {"retried_samples", taken.retried_samples},
      {"dropped_samples", taken.dropped_samples},
      {"samples", samples},
      {"staleness_max", staleness_max},
      {"staleness", staleness},
      {"tokens", report.tokens},
      {"tokens_per_s", mean(tokens, wait_seconds + train_seconds)},
      {"train_tokens_per_s", mean(static_cast<double>(report.tokens), train_seconds)},
      {"wait_seconds", wait_seconds},
      {"train_seconds", train_seconds},
      {"seconds", wait_seconds + train_seconds},
  };
  if (companions_.value != nullptr || companions_.shared_value != nullptr) {
    line["pretraining"] = !step.trained && state_.step <= options_.value_pretrain_steps;
    line["value_loss"] = step.value_loss;
    line["value_grad_norm"] = step.value_grad_norm;
    line["explained_variance"] = step.explained_variance;
  }
  if (companions_.reference != nullptr) {
    line["reference_kl"] = mean(stats.reference_kl, stats.tokens);
  }
  const std::vector<Curriculum::Domain> domains = services_.pool->domains();
  if (domains.size() > 1) line["domains"] = DomainsJson(domains);
  if (!starving.empty()) line["starving"] = starving;
  if (starving.size() > most_starving_) {
    most_starving_ = starving.size();
    PONDER_LOG(kWarning, "step ", state_.step, ": ", starving.size(),
               " experts get less than a tenth of their share of the tokens (layer.expert: ",
               absl::StrJoin(starving.begin(),
                             starving.begin() + std::min<size_t>(starving.size(), 16), ", "),
               starving.size() > 16 ? ", ..." : "", "); see learner.router");
  }
  const RouterBalance& balance = updater_.options().router;
  if (balance.kind != RouterBalance::Kind::kNone) {
    line["router_balance_loss"] = report.router.loss.balance;
  }
  if (balance.z_coef > 0) line["router_z_loss"] = report.router.loss.z;
  if (options_.replay_routing) {
    line["rerouted"] = mean(report.router.rerouted, report.router.replayed);
  }
  if (options_.proximal) line["corrected"] = mean(stats.corrected, stats.tokens);
  if (updater_.options().objective.positive_nll_coef != 0)
    line["positive_nll"] = stats.positive_nll;
  if (options_.overlong_filtering) line["skipped_updates"] = step.skipped_updates;
  return services_.metrics->Write(line);
}

}  // namespace ponder::learner

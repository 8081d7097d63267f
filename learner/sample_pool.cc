#include "learner/sample_pool.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "learner/pool_state.h"

namespace ponder::learner {
namespace {

absl::Status Validate(const SamplePool::Options& o, const std::vector<Prompt>& prompts,
                      const SamplePool::Position& start) {
  const auto bad = [](const auto&... why) {
    return absl::InvalidArgumentError(absl::StrCat("sample pool: ", why...));
  };
  if (o.group_size < 1) return bad("group_size ", o.group_size, " must be at least 1");
  if (o.groups_per_step < 1)
    return bad("groups_per_step ", o.groups_per_step, " must be at least 1");
  if (o.max_staleness < 0) return bad("max_staleness ", o.max_staleness, " is negative");
  if (o.lease <= absl::ZeroDuration())
    return bad("lease ", absl::FormatDuration(o.lease), " is not positive");
  if (o.max_attempts < 1) return bad("max_attempts ", o.max_attempts, " must be at least 1");
  if (o.max_degenerate_groups < 0)
    return bad("max_degenerate_groups ", o.max_degenerate_groups, " is negative");
  if (o.dynamic_sampling && o.group_size == 1) {
    return bad(
        "with dynamic_sampling a group of 1 would always be dropped: set group_size to 2 or "
        "more, or dynamic_sampling to false");
  }
  if (start.step < 0 || start.next_group_id < 0 || start.version < 0) {
    return bad("start at step ", start.step, ", group ", start.next_group_id, ", version ",
               start.version, ": none may be negative");
  }
  if (prompts.empty()) return bad("there are no prompts");
  std::set<absl::string_view> ids;
  for (const Prompt& prompt : prompts) {
    if (prompt.id.empty()) return bad("a prompt has no id");
    if (!ids.insert(prompt.id).second) return bad("two prompts have the id '", prompt.id, "'");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SamplePool>> SamplePool::Make(const Options& options,
                                                             std::vector<Prompt> prompts,
                                                             std::unique_ptr<Ledger> ledger,
                                                             const Position& start,
                                                             absl::Time (*clock)()) {
  if (clock == nullptr) clock = SteadyNow;
  PONDER_RETURN_IF_ERROR(Validate(options, prompts, start));
  PONDER_RETURN_IF_ERROR(ledger->Start({options.seed, options.group_size, HashPrompts(prompts)},
                                       start.step, start.next_group_id, clock()));
  auto state =
      std::make_unique<State>(options, std::move(prompts), std::move(ledger), start, clock);
  if (!start.curriculum.empty()) {
    absl::MutexLock lock(&state->mutex);
    PONDER_RETURN_IF_ERROR(state->curriculum.Restore(start.curriculum));
  }
  return std::unique_ptr<SamplePool>(new SamplePool(std::move(state)));
}

SamplePool::SamplePool(std::unique_ptr<State> state) : state_(std::move(state)) {}
SamplePool::~SamplePool() = default;

absl::StatusOr<SamplePool::LeaseBatch> SamplePool::LeaseSamples(const std::string& actor,
                                                                int64_t incarnation,
                                                                int64_t max_samples,
                                                                absl::Time deadline) {
  if (actor.empty()) return absl::InvalidArgumentError("an actor needs a name");
  if (max_samples < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("actor '", actor, "' asks for ", max_samples, " samples"));
  }
  State& s = *state_;
  absl::MutexLock lock(&s.mutex);
  while (true) {
    if (!s.failure.ok()) return s.failure;
    if (s.closed) return absl::UnavailableError("the learner is stopping");
    LeaseBatch batch;
    batch.life = s.ledger->life();
    if (s.finished) {
      batch.run_finished = true;
      return batch;
    }
    const absl::Time now = s.clock();
    PONDER_RETURN_IF_ERROR(s.Greet(actor, incarnation));
    s.ReturnExpired(now);
    while (static_cast<int64_t>(s.waiting.size()) < max_samples && s.HasRoom()) {
      PONDER_RETURN_IF_ERROR(s.OpenGroup());
    }
    while (!s.waiting.empty() && static_cast<int64_t>(batch.leases.size()) < max_samples) {
      batch.leases.push_back(s.LeaseOne(actor, now));
      const Prompt& prompt = *s.flights.at(batch.leases.back().group_id).prompt;
      // Leases of a prompt may come from two epochs, which are far apart only if there are many
      // prompts.
      const auto same = [&](const Prompt& p) { return p.id == prompt.id; };
      if (std::none_of(batch.prompts.rbegin(), batch.prompts.rend(), same)) {
        batch.prompts.push_back(prompt);
      }
    }
    PONDER_RETURN_IF_ERROR(s.Flush());
    if (!batch.leases.empty() || now >= deadline) return batch;
    s.AwaitChange(std::min(deadline, s.NextExpiry()) - now);
  }
}

absl::StatusOr<std::vector<SamplePool::SubmitResult>> SamplePool::Submit(
    const std::string& actor, int64_t incarnation, std::vector<Sample> samples) {
  State& s = *state_;
  absl::MutexLock lock(&s.mutex);
  if (!s.failure.ok()) return s.failure;
  if (s.closed) return absl::UnavailableError("the learner is stopping");
  const bool replaced = !s.Greet(actor, incarnation).ok();
  std::vector<SubmitResult> results;
  for (Sample& sample : samples) {
    if (replaced) {
      results.push_back({SubmitOutcome::kExpired, "a newer incarnation of the actor has started"});
      continue;
    }
    PONDER_ASSIGN_OR_RETURN(SubmitResult result, s.SubmitOne(actor, std::move(sample)));
    results.push_back(std::move(result));
  }
  PONDER_RETURN_IF_ERROR(s.Flush());
  return results;
}

absl::StatusOr<SamplePool::Taken> SamplePool::Take(absl::Time deadline) {
  State& s = *state_;
  absl::MutexLock lock(&s.mutex);
  for (const auto& [id, flight] : s.flights) {
    if (flight.training) {
      return absl::FailedPreconditionError("the groups of the last Take were not retired");
    }
  }
  s.taken = false;  // an empty Take needs no Retire
  std::optional<std::vector<int64_t>> groups;
  while (s.failure.ok() && !s.closed && !(groups = s.Ready()).has_value()) {
    const absl::Time now = s.clock();
    if (now >= deadline) return absl::DeadlineExceededError(s.Missing());
    s.AwaitChange(deadline - now);
  }
  if (!s.failure.ok()) return s.failure;
  if (s.closed) return absl::CancelledError("the sample pool was closed");
  Taken result = std::exchange(s.since_take, {});
  for (const int64_t id : *groups) {
    Flight& flight = s.flights.at(id);
    flight.training = true;
    Group group{id, *flight.prompt, {}};
    for (size_t i = 0; i < flight.draws.size(); ++i) {
      group.samples.push_back(std::move(flight.draws[i].sample));
      s.entries.push_back(Ledger::Training{flight.key(i)});
    }
    result.groups.push_back(std::move(group));
  }
  s.taken = true;
  s.degenerate_in_step = 0;
  PONDER_RETURN_IF_ERROR(s.Flush());
  return result;
}

absl::Status SamplePool::Retire(int64_t step, int64_t version) {
  State& s = *state_;
  absl::MutexLock lock(&s.mutex);
  if (!s.failure.ok()) return s.failure;
  if (!s.taken) return absl::FailedPreconditionError("Retire without Take");
  if (step <= s.position.step || version < s.position.version) {
    return absl::InvalidArgumentError(absl::StrCat("step ", step, ", version ", version,
                                                   " after step ", s.position.step, ", version ",
                                                   s.position.version, ": they only grow"));
  }
  for (auto next = s.flights.begin(); next != s.flights.end();) {
    const auto flight = next++;
    if (!flight->second.training) continue;
    for (size_t i = 0; i < flight->second.draws.size(); ++i) {
      s.entries.push_back(Ledger::Trained{flight->second.key(i), step});
    }
    s.flights.erase(flight);
  }
  PONDER_RETURN_IF_ERROR(s.Flush());
  s.taken = false;
  const int64_t next = s.flights.empty() ? s.next_group_id : s.flights.begin()->first;
  s.curriculum.Settle(next);
  s.position = {step, next, version, s.curriculum.State()};
  ++s.changes;
  return absl::OkStatus();
}

SamplePool::Position SamplePool::position() const {
  absl::MutexLock lock(&state_->mutex);
  return state_->position;
}

std::vector<Curriculum::Domain> SamplePool::domains() const {
  absl::MutexLock lock(&state_->mutex);
  return state_->curriculum.domains();
}

absl::Status SamplePool::Finish() {
  State& s = *state_;
  absl::MutexLock lock(&s.mutex);
  if (!s.failure.ok()) return s.failure;
  while (!s.flights.empty()) s.Drop(s.flights.begin()->first, "run_finished");
  s.finished = true;
  ++s.changes;
  return s.Flush();
}

void SamplePool::Close() {
  absl::MutexLock lock(&state_->mutex);
  state_->closed = true;
  ++state_->changes;
}

}  // namespace ponder::learner

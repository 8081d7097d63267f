#include "learner/pool_state.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "reward/reward.h"

namespace ponder::learner {

void SamplePool::State::AwaitChange(absl::Duration limit) {
  const auto changed = [this, before = changes]()
                           ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { return changes != before; };
  AwaitUntil(mutex, absl::Condition(&changed), SteadyNow() + limit);
}

absl::Status SamplePool::State::Flush() {
  if (failure.ok()) failure = ledger->Write(entries, clock());
  entries.clear();
  if (!failure.ok()) ++changes;
  return failure;
}

absl::Status SamplePool::State::Greet(const std::string& name, int64_t incarnation) {
  Actor& actor = actors.try_emplace(name, Actor{incarnation, clock()}).first->second;
  if (incarnation < actor.incarnation) {
    return absl::FailedPreconditionError(
        absl::StrCat("actor '", name, "' was started again (incarnation ", actor.incarnation,
                     "); this one, ", incarnation, ", must stop"));
  }
  actor.seen = clock();
  if (incarnation == actor.incarnation) return absl::OkStatus();
  actor.incarnation = incarnation;
  for (auto next = flights.begin(); next != flights.end();) {
    const auto flight = next++;  // Return may erase it
    for (size_t i = 0; i < flight->second.draws.size(); ++i) {
      const Draw& draw = flight->second.draws[i];
      if (draw.state == Draw::State::kLeased && draw.actor == name &&
          Return(flight->first, i, "actor_restarted")) {
        break;
      }
    }
  }
  return absl::OkStatus();
}

void SamplePool::State::ReturnExpired(absl::Time now) {
  for (auto next = flights.begin(); next != flights.end();) {
    const auto flight = next++;
    for (size_t i = 0; i < flight->second.draws.size(); ++i) {
      const Draw& draw = flight->second.draws[i];
      if (draw.state == Draw::State::kLeased && draw.deadline <= now &&
          Return(flight->first, i, "lease_expired")) {
        break;
      }
    }
  }
}

bool SamplePool::State::Return(int64_t group_id, size_t index, const std::string& reason) {
  Flight& flight = flights.at(group_id);
  Draw& draw = flight.draws[index];
  draw.state = Draw::State::kWaiting;
  ++draw.attempt;
  entries.push_back(Ledger::Returned{flight.key(index), reason});
  ++changes;
  if (draw.attempt - draw.first_attempt >= options.max_attempts) {
    PONDER_LOG(kWarning, "sample ", flight.prompt->id, " #", flight.key(index).sample_index,
               " was handed out ", options.max_attempts, " times in vain, last: ", reason,
               last_error.empty() ? "" : " (", last_error, last_error.empty() ? "" : ")",
               "; its group is dropped");
    Drop(group_id, "attempts_exhausted");
    return true;
  }
  ++since_take.retried_samples;
  waiting.insert({group_id, index});
  return false;
}

void SamplePool::State::Drop(int64_t group_id, const std::string& reason) {
  const Flight& flight = flights.at(group_id);
  for (size_t i = 0; i < flight.draws.size(); ++i) {
    waiting.erase({group_id, i});
    if (!flight.draws[i].in_ledger) continue;
    entries.push_back(Ledger::Dropped{flight.key(i), reason});
    if (reason != "degenerate") ++since_take.dropped_samples;
  }
  flights.erase(group_id);
  ++changes;
}

bool SamplePool::State::HasRoom() const {
  // What is being trained holds the slots of a whole step, even if it is fewer groups.
  int64_t held = taken ? options.groups_per_step : 0;
  for (const auto& [id, flight] : flights) held += !flight.training;
  const int64_t given_up = std::max<int64_t>(0, degenerate_in_step - options.max_degenerate_groups);
  return held < slots - given_up;
}

absl::Status SamplePool::State::OpenGroup() {
  const PromptOrder::Place place = curriculum.Open(next_group_id);
  Flight flight;
  flight.prompt = &prompts[static_cast<size_t>(place.prompt)];
  flight.first_sample = place.first_sample;
  flight.draws.resize(static_cast<size_t>(options.group_size));
  for (size_t i = 0; i < flight.draws.size(); ++i) {
    PONDER_ASSIGN_OR_RETURN(flight.draws[i].first_attempt, ledger->NextAttempt(flight.key(i)));
    flight.draws[i].attempt = flight.draws[i].first_attempt;
  }
  for (size_t i = 0; i < flight.draws.size(); ++i) waiting.insert({next_group_id, i});
  flights.emplace(next_group_id++, std::move(flight));
  return absl::OkStatus();
}

Lease SamplePool::State::LeaseOne(const std::string& actor, absl::Time now) {
  const auto [group_id, index] = *waiting.begin();
  waiting.erase(waiting.begin());
  Flight& flight = flights.at(group_id);
  Draw& draw = flight.draws[index];
  draw.state = Draw::State::kLeased;
  draw.in_ledger = true;
  draw.actor = actor;
  draw.least_version = position.version;
  draw.deadline = now + options.lease;
  const Lease lease{flight.key(index), group_id, static_cast<int32_t>(draw.attempt),
                    absl::ToUnixMillis(draw.deadline), draw.least_version};
  entries.push_back(Ledger::Leased{lease.key, group_id, draw.attempt, actor, lease.least_version,
                                   lease.deadline_unix_ms});
  return lease;
}

absl::Time SamplePool::State::NextExpiry() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [id, flight] : flights) {
    for (const Draw& draw : flight.draws) {
      if (draw.state == Draw::State::kLeased) next = std::min(next, draw.deadline);
    }
  }
  return next;
}

absl::StatusOr<SamplePool::SubmitResult> SamplePool::State::SubmitOne(const std::string& actor,
                                                                      Sample sample) {
  const Rollout& rollout = sample.rollout;
  const auto reject = [&](const auto&... why) {
    return SubmitResult{SubmitOutcome::kRejected,
                        absl::StrCat("sample ", rollout.key.prompt_id, " #",
                                     rollout.key.sample_index, ": ", why...)};
  };
  const auto found = flights.find(rollout.group_id);
  if (found == flights.end()) return SubmitLate(rollout);
  Flight& flight = found->second;
  const int64_t index = rollout.key.sample_index - flight.first_sample;
  if (rollout.key.prompt_id != flight.prompt->id || index < 0 || index >= options.group_size) {
    return reject("not in group ", rollout.group_id, ", which is of prompt ", flight.prompt->id);
  }
  Draw& draw = flight.draws[static_cast<size_t>(index)];
  if (rollout.attempt < draw.attempt) return SubmitResult{SubmitOutcome::kExpired, ""};
  if (rollout.attempt > draw.attempt || draw.state == Draw::State::kWaiting) {
    return reject("attempt ", rollout.attempt, " was never handed out");
  }
  if (draw.actor != actor) return reject("leased to '", draw.actor, "', not '", actor, "'");
  if (draw.state == Draw::State::kFinished) return SubmitResult{SubmitOutcome::kDuplicate, ""};
  if (rollout.segments.empty() || rollout.segments[0].weight_version < draw.least_version) {
    return reject("must be started under weights ", draw.least_version, " or newer");
  }
  if (options.routing.has_value()) {
    const auto fed = static_cast<int64_t>(rollout.prompt_tokens.size() + rollout.tokens.size()) - 1;
    const auto routing = moe::ReadRouting(*options.routing, rollout.routed_experts, fed);
    if (!routing.ok()) return reject(routing.status().message());
  }
  if (sample.verdict.outcome == Verdict::Outcome::kError) {
    last_error = sample.verdict.reason;
    Return(rollout.group_id, static_cast<size_t>(index), "verifier_error");
    return SubmitResult{SubmitOutcome::kAccepted, "the verifier failed: handed out again"};
  }
  entries.push_back(Ledger::Finished{rollout.key, rollout.segments[0].weight_version,
                                     static_cast<int64_t>(rollout.tokens.size()),
                                     sample.verdict.outcome, rollout.generate_seconds});
  draw.state = Draw::State::kFinished;
  draw.sample = std::move(sample);
  if (++flight.finished == options.group_size) Complete(found->first);
  return SubmitResult{SubmitOutcome::kAccepted, ""};
}

// Of a group that is gone, trained or dropped, or that never was.
absl::StatusOr<SamplePool::SubmitResult> SamplePool::State::SubmitLate(const Rollout& rollout) {
  PONDER_RETURN_IF_ERROR(Flush());  // the group may have gone in this very call
  PONDER_ASSIGN_OR_RETURN(const std::optional<Ledger::Row> row, ledger->Find(rollout.key));
  if (!row.has_value()) {
    // From an earlier life of the run, or from nowhere.
    PONDER_ASSIGN_OR_RETURN(const int64_t next_attempt, ledger->NextAttempt(rollout.key));
    if (rollout.attempt < next_attempt) return SubmitResult{SubmitOutcome::kExpired, ""};
    return SubmitResult{SubmitOutcome::kRejected,
                        absl::StrCat("sample ", rollout.key.prompt_id, " #",
                                     rollout.key.sample_index, " was never leased")};
  }
  return SubmitResult{row->finished && row->attempt == rollout.attempt ? SubmitOutcome::kDuplicate
                                                                       : SubmitOutcome::kExpired,
                      ""};
}

void SamplePool::State::Complete(int64_t group_id) {
  ++changes;
  std::vector<Draw>& draws = flights.at(group_id).draws;
  std::vector<Sample> samples;
  for (Draw& draw : draws) samples.push_back(std::move(draw.sample));
  if (reward::KnowsRightAndWrong(samples)) {
    curriculum.Score(group_id,
                     std::count_if(samples.begin(), samples.end(), [](const Sample& sample) {
                       return sample.verdict.outcome == Verdict::Outcome::kCorrect;
                     }));
  }
  if (!options.dynamic_sampling || !reward::IsDegenerate(samples)) {
    for (size_t i = 0; i < draws.size(); ++i) draws[i].sample = std::move(samples[i]);
    return;
  }
  std::move(samples.begin(), samples.end(), std::back_inserter(since_take.dropped));
  ++since_take.degenerate_groups;
  ++degenerate_in_step;
  Drop(group_id, "degenerate");
}

std::optional<std::vector<int64_t>> SamplePool::State::Ready() const {
  std::vector<int64_t> head;
  for (const auto& [id, flight] : flights) {
    if (static_cast<int64_t>(head.size()) == options.groups_per_step) break;
    if (!flight.complete()) return std::nullopt;
    head.push_back(id);
  }
  if (static_cast<int64_t>(head.size()) < options.groups_per_step && HasRoom()) {
    return std::nullopt;
  }
  return head;
}

std::string SamplePool::State::Missing() const {
  int64_t complete = 0, leased = 0;
  for (const auto& [id, flight] : flights) {
    complete += flight.complete();
    for (const Draw& draw : flight.draws) leased += draw.state == Draw::State::kLeased;
  }
  std::string message =
      absl::StrCat("step ", position.step + 1, " needs ", options.groups_per_step,
                   " groups: ", complete, " are finished; of the others, ", leased,
                   " samples are in actors' hands and ", waiting.size(), " wait to be fetched");
  if (since_take.dropped_samples > 0) {
    absl::StrAppend(&message, "; ", since_take.dropped_samples, " were dropped after ",
                    options.max_attempts, " attempts");
  }
  if (!last_error.empty()) absl::StrAppend(&message, "; a verifier said: ", last_error);
  if (actors.empty()) return absl::StrCat(message, "; no actor ever asked for work");
  const auto latest =
      std::max_element(actors.begin(), actors.end(),
                       [](const auto& a, const auto& b) { return a.second.seen < b.second.seen; });
  return absl::StrCat(
      message, "; the last actor seen was '", latest->first, "', ",
      absl::FormatDuration(absl::Trunc(clock() - latest->second.seen, absl::Milliseconds(100))),
      " ago");
}

}  // namespace ponder::learner

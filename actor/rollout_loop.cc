#include "actor/rollout_loop.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/status.h"
#include "base/steady_clock.h"

namespace ponder::actor {
namespace {

// Few enough that several actors share a step's samples evenly, enough that leasing costs little.
constexpr int64_t kMaxBite = 32;
constexpr size_t kGradeBatch = 64;
constexpr absl::Duration kLeaseWait = absl::Seconds(10);
// Short, because only between two calls is it noticed that the learner has begun a new life.
constexpr absl::Duration kWeightsWait = absl::Seconds(1);
constexpr absl::Duration kWeightsDeadline = absl::Minutes(2);
constexpr absl::Duration kPause = absl::Milliseconds(50);

}  // namespace

RolloutLoop::RolloutLoop(const Options& options, LearnerLink& learner, VerifierLink& verifier)
    : options_(options),
      bite_(std::clamp<int64_t>(options.engine.max_batch / 4, 1, kMaxBite)),
      learner_(learner),
      verifier_(verifier),
      work_(1024),
      answers_(static_cast<size_t>(4 * options.engine.max_batch)) {}

absl::Status RolloutLoop::Run() {
  std::thread leasing([this] { LeaseWork(); });
  std::thread fetching([this] { FetchWeights(); });
  std::thread delivering([this] { Deliver(); });
  End(Generate());
  leasing.join();
  fetching.join();
  delivering.join();
  absl::MutexLock lock(&mutex_);
  return status_;
}

void RolloutLoop::End(const absl::Status& status) {
  {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    ended_ = true;
    status_ = status;
  }
  work_.Close();
  answers_.Close();
  learner_.Cancel();
  verifier_.Cancel();
}

bool RolloutLoop::ended() const {
  absl::MutexLock lock(&mutex_);
  return ended_;
}

void RolloutLoop::Forget(int64_t assignments) {
  absl::MutexLock lock(&mutex_);
  in_flight_ -= assignments;
}

// --- leasing ---

void RolloutLoop::LeaseWork() {
  while (true) {
    int64_t version = -1;
    {
      // One bite more than the engine holds, so that it has what to go on with.
      absl::MutexLock lock(&mutex_);
      const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return ended_ || in_flight_ <= options_.engine.max_batch;
      };
      mutex_.Await(absl::Condition(&wanted));
      if (ended_) return;
      if (newest_.has_value()) version = newest_->version;
    }
    const absl::Time asked = SteadyNow();
    absl::StatusOr<LearnerLink::LeaseBatch> batch =
        learner_.LeaseSamples(bite_, version, kLeaseWait);
    if (!batch.ok() || batch->run_finished) return End(batch.status());
    absl::StatusOr<std::vector<Assignment>> assignments = Assign(*std::move(batch));
    if (!assignments.ok()) return End(assignments.status());
    if (!assignments->empty()) {
      {
        absl::MutexLock lock(&mutex_);
        in_flight_ += static_cast<int64_t>(assignments->size());
        life_ = std::max(life_, assignments->front().life);
      }
      work_.Push(*std::move(assignments));
    } else if (SteadyNow() - asked < kPause) {
      // The learner is too busy to let us wait.
      absl::MutexLock lock(&mutex_);
      AwaitUntil(mutex_, absl::Condition(&ended_), SteadyNow() + kPause);
    }
  }
}

absl::StatusOr<std::vector<RolloutLoop::Assignment>> RolloutLoop::Assign(
    LearnerLink::LeaseBatch batch) const {
  std::map<std::string, std::shared_ptr<const Problem>> problems;
  for (Prompt& prompt : batch.prompts) {
    auto problem = std::make_shared<Problem>();
    auto tokens = options_.text->EncodeChat(prompt.messages, options_.system_prompt);
    if (!tokens.ok()) return Annotate(tokens.status(), absl::StrCat("prompt ", prompt.id));
    problem->tokens = *std::move(tokens);
    problem->prompt = std::move(prompt);
    problems[problem->prompt.id] = std::move(problem);
  }
  std::vector<Assignment> assignments;
  for (Lease& lease : batch.leases) {
    const auto found = problems.find(lease.key.prompt_id);
    if (found == problems.end()) {
      return absl::InternalError(absl::StrCat("the learner leased a sample of prompt ",
                                              lease.key.prompt_id, " without the prompt"));
    }
    assignments.push_back({std::move(lease), found->second, batch.life, SteadyNow()});
  }
  return assignments;
}

// --- weights ---

void RolloutLoop::FetchWeights() {
  while (true) {
    int64_t life = -1;
    int64_t least_version = 0;
    {
      absl::MutexLock lock(&mutex_);
      const auto known = [this]()
                             ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ended_ || life_ >= 0; };
      mutex_.Await(absl::Condition(&known));
      if (ended_) return;
      life = life_;
      if (newest_.has_value() && newest_->life == life) least_version = newest_->version + 1;
    }
    absl::StatusOr<moe::Model> model = learner_.FetchWeights(least_version, kWeightsWait);
    if (absl::IsDeadlineExceeded(model.status())) continue;
    if (!model.ok()) return End(model.status());
    const int64_t version = model->weights->manifest().version;
    absl::MutexLock lock(&mutex_);
    if (options_.max_sequence_tokens > 0)
      model->config.LimitPositions(options_.max_sequence_tokens);
    if (life == life_) newest_ = VersionedModel{*std::move(model), version, life};
  }
}

absl::StatusOr<bool> RolloutLoop::TakeWeightsFor(const Assignment& assignment) {
  VersionedModel next;
  {
    absl::MutexLock lock(&mutex_);
    const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      if (ended_) return true;
      if (!newest_.has_value() || newest_->life < assignment.life) return false;
      return newest_->life > assignment.life || newest_->version >= assignment.lease.least_version;
    };
    if (!AwaitUntil(mutex_, absl::Condition(&there), SteadyNow() + kWeightsDeadline)) {
      return absl::DeadlineExceededError(absl::StrCat(
          "the learner leased a sample that needs weights ", assignment.lease.least_version,
          ", but did not publish them within ", absl::FormatDuration(kWeightsDeadline)));
    }
    if (ended_ || newest_->life > assignment.life) return false;
    next = *newest_;
  }
  PONDER_RETURN_IF_ERROR(Use(next));
  return true;
}

absl::Status RolloutLoop::TakeNewerWeights() {
  VersionedModel next;
  {
    absl::MutexLock lock(&mutex_);
    if (engine_ == nullptr || !newest_.has_value() || newest_->life != engine_life_ ||
        newest_->version <= engine_->version()) {
      return absl::OkStatus();
    }
    next = *newest_;
  }
  return Use(next);
}

absl::Status RolloutLoop::Use(const VersionedModel& next) {
  if (engine_ == nullptr || engine_life_ != next.life) {
    engine_.reset();
    PONDER_ASSIGN_OR_RETURN(engine_, Engine::Make(options_.engine, next.model, next.version));
    engine_life_ = next.life;
    PONDER_LOG(kInfo, "generating under weights ", next.version, ", up to ",
               options_.engine.max_batch, " sequences at once");
  } else if (engine_->version() != next.version) {
    PONDER_RETURN_IF_ERROR(engine_->SetModel(next.model, next.version));
  }
  return absl::OkStatus();
}

// --- generating ---

absl::Status RolloutLoop::Generate() {
  while (!ended()) {
    const bool idle = waiting_.empty() && running_.empty();
    auto assignments = work_.Pop(idle ? absl::InfiniteFuture() : absl::InfinitePast());
    while (assignments.has_value()) {
      std::move(assignments->begin(), assignments->end(), std::back_inserter(waiting_));
      assignments = work_.Pop(absl::InfinitePast());
    }
    PONDER_RETURN_IF_ERROR(Admit());
    if (!running_.empty()) PONDER_RETURN_IF_ERROR(Step());
  }
  return absl::OkStatus();
}

absl::Status RolloutLoop::Admit() {
  PONDER_RETURN_IF_ERROR(TakeNewerWeights());
  while (!waiting_.empty()) {
    const Assignment& next = waiting_.front();
    if (next.life > engine_life_) {
      // What runs is void. The engine is made anew, as it may hold the same samples.
      Forget(static_cast<int64_t>(running_.size()));
      running_.clear();
    } else if (!running_.empty() && next.lease.least_version > engine_->version()) {
      return absl::OkStatus();  // what runs goes on until the weights are there
    }
    bool valid = next.life >= engine_life_;
    if (valid && running_.empty()) {
      PONDER_ASSIGN_OR_RETURN(valid, TakeWeightsFor(next));
      if (ended()) return absl::OkStatus();
    }
    if (valid) {
      PONDER_RETURN_IF_ERROR(Start(std::move(waiting_.front())));
    } else {
      Forget(1);
    }
    waiting_.pop_front();
  }
  return absl::OkStatus();
}

absl::Status RolloutLoop::Start(Assignment assignment) {
  const SampleKey key = assignment.lease.key;
  const auto running = running_.find(key);
  if (running != running_.end()) {
    // The lease ran out and came back to us: the sample in the making serves the new lease.
    running->second.lease = std::move(assignment.lease);
    Forget(1);
    return absl::OkStatus();
  }
  Engine::Request request;
  request.key = key;
  request.prompt_tokens = assignment.problem->tokens;
  request.max_new_tokens = options_.max_response_tokens;
  request.sampling = options_.sampling;
  request.seed = options_.seed;
  request.eos_tokens = options_.text->eos_tokens();
  PONDER_RETURN_IF_ERROR(engine_->Enqueue(std::move(request)));
  running_.emplace(key, std::move(assignment));
  return absl::OkStatus();
}

absl::Status RolloutLoop::Step() {
  std::vector<Engine::Finished> done;
  Engine::OnToken on_token;
  if (!sampled_ && options_.on_first_token) {
    on_token = [this](const Engine::Token&) {
      if (!std::exchange(sampled_, true)) options_.on_first_token();
    };
  }
  PONDER_RETURN_IF_ERROR(engine_->Step(&done, on_token));
  for (Engine::Finished& finished : done) answers_.Push(MakeAnswer(std::move(finished)));
  if (!done.empty()) Forget(static_cast<int64_t>(done.size()));
  return absl::OkStatus();
}

RolloutLoop::Answer RolloutLoop::MakeAnswer(Engine::Finished finished) {
  const auto found = running_.find(finished.key);
  Assignment assignment = std::move(found->second);
  running_.erase(found);
  Rollout rollout;
  rollout.key = std::move(finished.key);
  rollout.group_id = assignment.lease.group_id;
  rollout.attempt = assignment.lease.attempt;
  rollout.prompt_tokens = assignment.problem->tokens;
  rollout.tokens = std::move(finished.tokens);
  rollout.logprobs = std::move(finished.logprobs);
  rollout.segments = std::move(finished.segments);
  rollout.routed_experts = std::move(finished.routed_experts);
  rollout.stop_reason = finished.stop_reason;
  rollout.generate_seconds = absl::ToDoubleSeconds(SteadyNow() - assignment.leased);
  return {std::move(rollout), std::move(assignment.problem)};
}

// --- judging and handing in ---

void RolloutLoop::Deliver() {
  while (std::optional<Answer> answer = answers_.Pop()) {
    std::vector<VerifierLink::Question> questions;
    std::vector<Sample> samples;
    while (answer.has_value()) {
      const Prompt& prompt = answer->problem->prompt;
      questions.push_back(
          {prompt.kind, prompt.gold, options_.text->ResponseText(answer->rollout.tokens)});
      samples.push_back({std::move(answer->rollout), {}});
      if (samples.size() == kGradeBatch) break;
      answer = answers_.Pop(absl::InfinitePast());
    }
    std::vector<Verdict> verdicts = verifier_.Grade(questions);
    if (ended()) return;
    for (size_t i = 0; i < samples.size(); ++i) samples[i].verdict = std::move(verdicts[i]);
    const auto counts = learner_.Submit(std::move(samples));
    if (!counts.ok()) return End(counts.status());
    if (counts->rejected > 0) {
      PONDER_LOG(kWarning, "the learner rejected ", counts->rejected,
                 " samples: ", counts->first_rejection);
    }
  }
}

}  // namespace ponder::actor

#include "actor/server/engine_thread.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "base/steady_clock.h"

namespace ponder::actor {

bool TokenStream::Next(absl::Duration wait, std::vector<Event>* events) {
  events->clear();
  absl::MutexLock lock(&mutex_);
  const auto news = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return open_ == 0 || !events_.empty();
  };
  AwaitUntil(mutex_, absl::Condition(&news), SteadyNow() + wait);
  events->swap(events_);
  return open_ > 0 || !events->empty();
}

void TokenStream::Push(Event event) {
  absl::MutexLock lock(&mutex_);
  open_ -= event.end;
  events_.push_back(std::move(event));
}

absl::StatusOr<std::unique_ptr<EngineThread>> EngineThread::Start(const Options& options,
                                                                  const moe::Model& model) {
  PONDER_ASSIGN_OR_RETURN(auto engine, Engine::Make(options.engine, model, /*version=*/0));
  return std::unique_ptr<EngineThread>(new EngineThread(options, std::move(engine)));
}

EngineThread::EngineThread(const Options& options, std::unique_ptr<Engine> engine)
    : options_(options),
      config_(engine->config()),
      stats_(engine->stats()),
      engine_(std::move(engine)),
      thread_([this] { Run(); }) {}

EngineThread::~EngineThread() {
  Stop();
  thread_.join();
}

void EngineThread::Stop() {
  absl::MutexLock lock(&mutex_);
  stop_ = true;
}

absl::StatusOr<std::shared_ptr<TokenStream>> EngineThread::Submit(
    std::vector<Engine::Request> requests) {
  auto stream = std::make_shared<TokenStream>(static_cast<int64_t>(requests.size()));
  bool answered = false;
  absl::Status answer;
  absl::MutexLock lock(&mutex_);
  if (stop_) return absl::UnavailableError("the server is stopping");
  submissions_.push_back({std::move(requests), stream, &answered, &answer});
  mutex_.Await(absl::Condition(&answered));
  if (!answer.ok()) return answer;
  return stream;
}

void EngineThread::Cancel(const std::shared_ptr<TokenStream>& stream) {
  absl::MutexLock lock(&mutex_);
  cancelled_.push_back(stream);
}

Engine::Stats EngineThread::stats() const {
  absl::MutexLock lock(&mutex_);
  return stats_;
}

void EngineThread::Run() {
  bool stop = false;
  while (!stop) {
    std::deque<Submission> submissions;
    std::vector<std::shared_ptr<TokenStream>> cancelled;
    {
      absl::MutexLock lock(&mutex_);
      const auto work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return stop_ || busy_ || !submissions_.empty() || !cancelled_.empty();
      };
      mutex_.Await(absl::Condition(&work));
      stop = stop_;
      submissions.swap(submissions_);
      cancelled.swap(cancelled_);
    }
    for (const auto& stream : cancelled) Drop(stream);
    for (Submission& submission : submissions) {
      const absl::Status answer =
          stop ? absl::UnavailableError("the server is stopping") : Accept(submission);
      absl::MutexLock lock(&mutex_);
      *submission.answer = answer;
      *submission.answered = true;
    }
    if (!stop && engine_->pending() > 0) Step();
    absl::MutexLock lock(&mutex_);
    busy_ = engine_->pending() > 0;
    stats_ = engine_->stats();
  }
  while (!streams_.empty()) Drop(streams_.begin()->second);
}

absl::Status EngineThread::Accept(Submission& submission) {
  if (engine_->stats().waiting + static_cast<int64_t>(submission.requests.size()) >
      options_.max_waiting) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", options_.max_waiting, " sequences wait already; try again"));
  }
  const std::string call = absl::StrCat("call ", calls_++);
  for (size_t i = 0; i < submission.requests.size(); ++i) {
    submission.requests[i].key = {call, static_cast<int64_t>(i)};
    PONDER_RETURN_IF_ERROR(engine_->Check(submission.requests[i]));
  }
  for (Engine::Request& request : submission.requests) {
    streams_.emplace(request.key, submission.stream);
    const absl::Status status = engine_->Enqueue(std::move(request));
    PONDER_CHECK(status.ok(), status.ToString());
  }
  return absl::OkStatus();
}

void EngineThread::Step() {
  std::vector<Engine::Finished> done;
  const absl::Status status = engine_->Step(&done, [this](const Engine::Token& next) {
    TokenStream::Event event;
    event.sequence = next.key.sample_index;
    event.token = next.token.token;
    event.logprob = next.token.untempered_logprob;
    event.top.assign(next.top.begin(), next.top.end());
    streams_.at(next.key)->Push(std::move(event));
  });
  PONDER_CHECK(status.ok(), status.ToString());
  {
    // Before anybody hears that an answer is complete: the metrics then count it.
    absl::MutexLock lock(&mutex_);
    stats_ = engine_->stats();
  }
  for (const Engine::Finished& finished : done) {
    const auto found = streams_.find(finished.key);
    TokenStream::Event event;
    event.sequence = finished.key.sample_index;
    event.end = true;
    event.stop_reason = finished.stop_reason;
    found->second->Push(std::move(event));
    streams_.erase(found);
  }
}

void EngineThread::Drop(const std::shared_ptr<TokenStream>& stream) {
  const std::shared_ptr<TokenStream> held = stream;
  for (auto it = streams_.begin(); it != streams_.end();) {
    if (it->second != held) {
      ++it;
      continue;
    }
    engine_->Cancel(it->first);
    TokenStream::Event event;
    event.sequence = it->first.sample_index;
    event.end = true;
    event.stop_reason = StopReason::kCancelled;
    held->Push(std::move(event));
    it = streams_.erase(it);
  }
}

}  // namespace ponder::actor

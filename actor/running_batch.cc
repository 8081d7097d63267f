#include "actor/running_batch.h"

#include <algorithm>
#include <utility>

namespace ponder::actor {

int64_t PagesFor(int64_t positions) {
  return (positions + kernels::kKvBlock - 1) / kernels::kKvBlock;
}

RunningBatch::Sequence::Sequence(Engine::Request r)
    : request(std::move(r)), rng(request.seed, request.key.prompt_id, request.key.sample_index) {
  finished.key = request.key;
  finished.tokens.reserve(static_cast<size_t>(request.max_new_tokens));
  finished.logprobs.reserve(static_cast<size_t>(request.max_new_tokens));
}

RunningBatch::RunningBatch(const Engine::Options& options, const moe::ModelConfig& config,
                           int64_t capacity)
    : options_(options),
      config_(config),
      pool_(options.threads),
      pages_(capacity, kernels::KvPageFloats(config.attention_shape(), config.num_hidden_layers)),
      sampling_scratch_(static_cast<size_t>(options.threads * 2 * config.vocab_size)) {}

void RunningBatch::SetModel(std::shared_ptr<const moe::PackedModel> model, int64_t version) {
  if (inference_ == nullptr) {
    inference_ = std::make_unique<moe::Inference>(pool_, std::move(model));
  } else {
    inference_->SetModel(std::move(model));
  }
  version_ = version;
  // Later siblings feed their prompt again: it must be seen by the new weights.
  for (Prefix& prefix : prefixes_) DropPrefix(prefix);
  prefixes_.clear();
}

void RunningBatch::Enqueue(Engine::Request request) {
  live_.insert(request.key);
  waiting_.push_back(std::move(request));
}

void RunningBatch::Step(std::vector<Engine::Finished>* done, const Engine::OnToken& on_token) {
  Admit();
  FeedPrompts(done, on_token);
  Decode(on_token);
  Collect(done);
}

// Admits requests in order while there are places and pages.
void RunningBatch::Admit() {
  while (!waiting_.empty() && static_cast<int64_t>(running_.size()) < options_.max_batch) {
    const Engine::Request& next = waiting_.front();
    const int64_t prompt = static_cast<int64_t>(next.prompt_tokens.size());
    const bool sibling = !prefixes_.empty() && NextIsSiblingOf(prefixes_.back());
    const int64_t shared = sibling ? prompt / kernels::kKvBlock : 0;
    if (PagesFor(prompt + next.max_new_tokens - 1) - shared > pages_.free()) return;
    Engine::Request request = std::move(waiting_.front());
    waiting_.pop_front();
    if (!sibling) prefixes_.emplace_back().tokens = request.prompt_tokens;
    Join(std::move(request));
  }
}

// Gives the sequence its pages and adds it to the last prefix.
void RunningBatch::Join(Engine::Request request) {
  Prefix& prefix = prefixes_.back();
  const size_t place = running_.size();
  Sequence& sequence = running_.emplace_back(std::move(request));
  const int64_t prompt = static_cast<int64_t>(prefix.tokens.size());
  const int64_t total = PagesFor(prompt + sequence.request.max_new_tokens - 1);
  const bool first = prefix.pages.empty();
  for (int64_t i = 0; i < total; ++i) {
    const bool shared = !first && i < prompt / kernels::kKvBlock;
    if (shared) pages_.AddReference(prefix.pages[static_cast<size_t>(i)]);
    sequence.pages.push_back(shared ? prefix.pages[static_cast<size_t>(i)] : pages_.Take());
    sequence.page_data.push_back(pages_.data(sequence.pages.back()));
  }
  if (first) {
    prefix.pages.assign(sequence.pages.begin(), sequence.pages.begin() + PagesFor(prompt));
    for (Page page : prefix.pages) {
      pages_.AddReference(page);
      prefix.page_data.push_back(pages_.data(page));
    }
  }
  prefix.joined.push_back(place);
}

// Feeds the new prompts and draws the first token of every sequence that has joined.
void RunningBatch::FeedPrompts(std::vector<Engine::Finished>* done,
                               const Engine::OnToken& on_token) {
  if (prefixes_.empty()) return;
  draws_.clear();
  if (prefixes_.front().fed) DrawFirstTokens(prefixes_.front(), prefixes_.front().logits.data());
  Sample(on_token);
  feed_.clear();
  for (size_t p = 0; p < prefixes_.size(); ++p) {
    for (size_t i = 0; !prefixes_[p].fed && i < prefixes_[p].tokens.size(); ++i)
      feed_.push_back({p, i});
  }
  const size_t chunk = static_cast<size_t>(options_.prefill_tokens);
  for (size_t begin = 0; begin < feed_.size(); begin += chunk) {
    FeedChunk(absl::MakeConstSpan(feed_).subspan(begin, chunk), on_token);
  }
  // Only the prefix of the next request is still of use.
  if (NextIsSiblingOf(prefixes_.back())) std::swap(prefixes_.front(), prefixes_.back());
  while (!prefixes_.empty() && !(prefixes_.size() == 1 && NextIsSiblingOf(prefixes_.front()))) {
    DropPrefix(prefixes_.back());
    prefixes_.pop_back();
  }
  Collect(done);
}

// One forward pass over prompt tokens; sequences whose prompt it completes get their first token.
void RunningBatch::FeedChunk(absl::Span<const PromptToken> chunk, const Engine::OnToken& on_token) {
  ClearRows();
  std::vector<Prefix*> completed;
  for (const PromptToken& at : chunk) {
    Prefix& prefix = prefixes_[at.prefix];
    if (at.index + 1 == prefix.tokens.size()) {
      logit_rows_.push_back(static_cast<int32_t>(tokens_T_.size()));
      completed.push_back(&prefix);
    }
    tokens_T_.push_back(prefix.tokens[at.index]);
    rows_T_.push_back({prefix.page_data.data(), static_cast<int64_t>(at.index) + 1});
  }
  inference_->Forward(tokens_T_, rows_T_, logit_rows_);
  for (size_t i = 0; i < completed.size(); ++i) {
    const float* logits = inference_->logits(static_cast<int64_t>(i));
    completed[i]->fed = true;
    if (NextIsSiblingOf(*completed[i]))
      completed[i]->logits.assign(logits, logits + config_.vocab_size);
    DrawFirstTokens(*completed[i], logits);
  }
  Sample(on_token);
}

// Siblings get their own copy of the prompt's last page, before anything is written behind the
// prompt.
void RunningBatch::DrawFirstTokens(Prefix& prefix, const float* logits) {
  const size_t full = prefix.tokens.size() / kernels::kKvBlock;
  for (size_t place : prefix.joined) {
    Sequence& sequence = running_[place];
    if (full < prefix.pages.size() && sequence.pages[full] != prefix.pages[full]) {
      pages_.CopyContents(prefix.pages[full], sequence.pages[full]);
    }
    draws_.push_back({&sequence, logits, {}});
  }
  prefix.joined.clear();
}

void RunningBatch::Decode(const Engine::OnToken& on_token) {
  if (running_.empty()) return;
  ClearRows();
  for (Sequence& sequence : running_) {
    // The newest token has no keys yet.
    const size_t length = sequence.request.prompt_tokens.size() + sequence.finished.tokens.size();
    logit_rows_.push_back(static_cast<int32_t>(tokens_T_.size()));
    tokens_T_.push_back(sequence.finished.tokens.back());
    rows_T_.push_back({sequence.page_data.data(), static_cast<int64_t>(length)});
  }
  inference_->Forward(tokens_T_, rows_T_, logit_rows_);
  for (size_t i = 0; i < running_.size(); ++i) {
    draws_.push_back({&running_[i], inference_->logits(static_cast<int64_t>(i)), {}});
  }
  Sample(on_token);
}

// Draws a token for each of `draws` and appends it to its sequence.
void RunningBatch::Sample(const Engine::OnToken& on_token) {
  if (draws_.empty()) return;
  const int64_t count = static_cast<int64_t>(draws_.size());
  const int64_t grain = (count + options_.threads - 1) / options_.threads;
  pool_.ParallelFor(count, grain, [&](int64_t begin, int64_t end) {
    float* scratch = sampling_scratch_.data() + begin / grain * 2 * config_.vocab_size;
    for (int64_t i = begin; i < end; ++i) {
      Draw& draw = draws_[static_cast<size_t>(i)];
      const Sequence& sequence = *draw.sequence;
      const int64_t position = static_cast<int64_t>(sequence.finished.tokens.size());
      draw.token = kernels::SampleToken(draw.logits, config_.vocab_size, sequence.request.sampling,
                                        sequence.rng.Uniform(position), scratch);
    }
  });
  for (const Draw& draw : draws_) {
    Engine::Finished& finished = draw.sequence->finished;
    if (finished.segments.empty() || finished.segments.back().weight_version != version_) {
      finished.segments.push_back({version_, static_cast<int64_t>(finished.tokens.size())});
    }
    finished.tokens.push_back(draw.token.token);
    finished.logprobs.push_back(draw.token.logprob);
    if (on_token) on_token(finished.key, draw.token.token, draw.token.logprob);
    const bool eos = draw.token.token == draw.sequence->request.eos_token;
    const bool full =
        static_cast<int64_t>(finished.tokens.size()) == draw.sequence->request.max_new_tokens;
    finished.stop_reason = eos ? StopReason::kEndOfSequence : StopReason::kLength;
    draw.sequence->done = eos || full;
  }
}

// Moves finished sequences out and gives their pages back; the others keep their order.
void RunningBatch::Collect(std::vector<Engine::Finished>* done) {
  size_t kept = 0;
  for (size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = running_[i];
    if (!sequence.done) {
      if (kept != i) running_[kept] = std::move(sequence);
      ++kept;
      continue;
    }
    for (Page page : sequence.pages) pages_.Release(page);
    live_.erase(sequence.request.key);
    done->push_back(std::move(sequence.finished));
  }
  running_.erase(running_.begin() + static_cast<ptrdiff_t>(kept), running_.end());
}

void RunningBatch::DropPrefix(Prefix& prefix) {
  for (Page page : prefix.pages) pages_.Release(page);
}

void RunningBatch::ClearRows() {
  tokens_T_.clear();
  rows_T_.clear();
  logit_rows_.clear();
  draws_.clear();
}

bool RunningBatch::NextIsSiblingOf(const Prefix& prefix) const {
  return !waiting_.empty() && waiting_.front().prompt_tokens == prefix.tokens;
}

}  // namespace ponder::actor

#include "actor/engine/running_batch.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace ponder::actor {

using kernels::kKvBlock;

int64_t PagesFor(int64_t positions) { return (positions + kKvBlock - 1) / kKvBlock; }

RunningBatch::RunningBatch(const Engine::Options& options, const moe::ModelConfig& config,
                           int64_t capacity)
    : options_(options),
      config_(config),
      routes_(options.record_routing ? moe::RoutingShape::Of(config) : moe::RoutingShape()),
      pool_(options.threads),
      pages_(capacity, kernels::KvPageFloats(config.attention_shape(), config.num_hidden_layers),
             routes_.page_bytes()),
      sampling_scratch_(static_cast<size_t>(options.threads * 3 * config.vocab_size)) {
  const size_t batch = static_cast<size_t>(std::min<int64_t>(options.max_batch, 4096));
  running_.reserve(batch);
  draws_.reserve(batch);
}

void RunningBatch::SetModel(std::shared_ptr<const moe::PackedModel> model, int64_t version) {
  if (inference_ == nullptr) {
    inference_ = std::make_unique<moe::Inference>(pool_, std::move(model));
    inference_->RecordRouting(routes_.on());
  } else {
    inference_->SetModel(std::move(model));
  }
  version_ = version;
  cache_.Clear();
  DropFedPrompts(/*all=*/true);
  for (auto& sequence : running_) {
    sequence->known = 0;
    // Without a response there is nothing to go on from: start anew.
    if (options_.kv_on_swap == Engine::KvOnSwap::kKeep && sequence->response_length() > 0) {
      sequence->sharing = false;
    } else {
      ReleasePages(*sequence);
    }
  }
}

void RunningBatch::Enqueue(Engine::Request request) {
  waiting_.push_back(std::make_unique<Sequence>(std::move(request), next_ticket_++));
  live_.emplace(waiting_.back()->request.key, waiting_.back().get());
}

void RunningBatch::Step(std::vector<Engine::Finished>* done, const Engine::OnToken& on_token) {
  ++stats_.steps;
  tokens_T_.clear();
  rows_T_.clear();
  routes_.Clear();
  logit_rows_.clear();
  draws_.clear();
  Admit();
  ShareFedPrompts();
  Sample(on_token);
  draws_.clear();
  PlanDecode();
  PlanPrompts();
  Forward();
  Sample(on_token);
  Collect(done);
  DropFedPrompts(/*all=*/false);
}

std::optional<Engine::Finished> RunningBatch::Cancel(const SampleKey& key) {
  const auto live = live_.find(key);
  if (live == live_.end()) return std::nullopt;
  Sequence* sequence = live->second;
  live_.erase(live);
  ReleasePages(*sequence);
  Engine::Finished finished = sequence->Finish();
  const auto is_it = [sequence](const auto& other) { return other.get() == sequence; };
  running_.erase(std::remove_if(running_.begin(), running_.end(), is_it), running_.end());
  waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(), is_it), waiting_.end());
  DropFedPrompts(/*all=*/false);
  return finished;
}

Engine::Stats RunningBatch::stats() const {
  Engine::Stats stats = stats_;
  stats.running = static_cast<int64_t>(running_.size());
  stats.waiting = static_cast<int64_t>(waiting_.size());
  stats.pages = pages_.capacity();
  stats.pages_in_use = pages_in_use();
  return stats;
}

// --- joining ---

const Sequence* RunningBatch::Next() const {
  return waiting_.empty() ? nullptr : waiting_.front().get();
}

// Admits in order while there are places and pages.
void RunningBatch::Admit() {
  while (!waiting_.empty() && static_cast<int64_t>(running_.size()) < options_.max_batch) {
    Sequence& next = *waiting_.front();
    next.Reserve();
    if (!MakeRoom(next)) return;
    next.awaits_sibling = next.fed + 1 < next.length() && IsBeingFed(next);
    const auto place =
        std::upper_bound(running_.begin(), running_.end(), next.ticket,
                         [](int64_t ticket, const auto& other) { return ticket < other->ticket; });
    running_.insert(place, std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

// Gives the sequence the known pages that it begins with, if there are free ones for the rest of
// what it has, for a token more, and one in reserve for each sequence that runs.
bool RunningBatch::MakeRoom(Sequence& sequence) {
  TakeKnownPages(sequence);
  const int64_t needed =
      PagesFor(sequence.length() + 1) - static_cast<int64_t>(sequence.pages.size());
  const int64_t reserve = static_cast<int64_t>(running_.size());
  if (running_.empty() || pages_.free() >= needed + reserve) return true;
  stats_.tokens_shared -= sequence.fed;
  ReleasePages(sequence);
  return false;
}

// Whether a running sequence feeds the same prompt, so that waiting for it saves the work.
bool RunningBatch::IsBeingFed(const Sequence& sequence) const {
  if (sequence.response_length() > 0) return false;
  return std::any_of(running_.begin(), running_.end(), [&sequence](const auto& other) {
    return other.get() != &sequence && other->prompt_hash == sequence.prompt_hash &&
           other->response_length() == 0 && !other->awaits_sibling &&
           other->request.prompt_tokens == sequence.request.prompt_tokens;
  });
}

// Siblings of a prompt that has been fed go on from it: full pages by reference, the partial one
// by copy, and the first token from the same logits.
void RunningBatch::ShareFedPrompts() {
  for (auto& sequence : running_) {
    if (sequence->response_length() > 0) continue;
    const auto prompt =
        std::find_if(fed_prompts_.begin(), fed_prompts_.end(), [&](const FedPrompt& p) {
          return p.hash == sequence->prompt_hash && p.tokens == sequence->request.prompt_tokens;
        });
    if (prompt != fed_prompts_.end()) {
      sequence->awaits_sibling = false;
      if (Fork(*sequence, *prompt)) draws_.push_back({sequence.get(), prompt->logits.data(), {}});
    } else if (sequence->awaits_sibling) {
      sequence->awaits_sibling = IsBeingFed(*sequence);
    }
  }
}

// False: part of it is gone, or there is no page for the copy; it is to be fed.
bool RunningBatch::Fork(Sequence& sequence, const FedPrompt& prompt) {
  const int64_t full = sequence.prompt_length() / kKvBlock;
  if (sequence.fed > full * kKvBlock) return false;  // has begun by itself
  stats_.tokens_shared -= sequence.fed;
  ReleasePages(sequence);
  cache_.FindPrefix(sequence.tokens, full, &found_);
  const bool whole = static_cast<int64_t>(found_.size()) == full &&
                     (prompt.tail == KvPages::kNone || pages_.free() > 0);
  for (const Page page : found_) AddPage(sequence, page);
  found_.clear();
  if (!whole) {
    ReleasePages(sequence);
    return false;
  }
  sequence.known = full;
  if (prompt.tail != KvPages::kNone) {
    AddPage(sequence, cache_.Take());
    pages_.CopyContents(prompt.tail, sequence.pages.back());
  }
  sequence.fed = sequence.prompt_length();
  sequence.kv_version = version_;
  stats_.tokens_shared += sequence.fed;
  return true;
}

// After the pass that completed a prompt whose siblings wait.
void RunningBatch::KeepFedPrompt(const Draw& draw) {
  const Sequence& sequence = *draw.sequence;
  FedPrompt prompt;
  prompt.tokens = sequence.request.prompt_tokens;
  prompt.hash = sequence.prompt_hash;
  if (!HasSibling(prompt)) return;
  if (sequence.prompt_length() % kKvBlock != 0) {
    prompt.tail = sequence.pages[static_cast<size_t>(sequence.prompt_length() / kKvBlock)];
    pages_.AddReference(prompt.tail);
  }
  prompt.logits.assign(draw.logits, draw.logits + config_.vocab_size);
  fed_prompts_.push_back(std::move(prompt));
}

// Whether the next sequence, or one that has been admitted, will go on from this prompt.
bool RunningBatch::HasSibling(const FedPrompt& prompt) const {
  const auto matches = [&prompt](const Sequence& s) {
    return s.prompt_hash == prompt.hash && s.response_length() <= 0 &&
           s.request.prompt_tokens == prompt.tokens;
  };
  if (Next() != nullptr && matches(*Next())) return true;
  return std::any_of(running_.begin(), running_.end(),
                     [&](const auto& s) { return s->awaits_sibling && matches(*s); });
}

void RunningBatch::DropFedPrompts(bool all) {
  const auto useless = [&](FedPrompt& prompt) {
    if (!all && HasSibling(prompt)) return false;
    if (prompt.tail != KvPages::kNone) pages_.Release(prompt.tail);
    return true;
  };
  fed_prompts_.erase(std::remove_if(fed_prompts_.begin(), fed_prompts_.end(), useless),
                     fed_prompts_.end());
}

// --- one forward pass ---

// A row for every sequence that lacks one token only. Pages are settled before any row is made:
// later ones may be preempted for earlier ones.
void RunningBatch::PlanDecode() {
  const auto decodes = [](const Sequence& s) {
    return !s.done && !s.awaits_sibling && s.pending() == 1;
  };
  for (size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = *running_[i];
    if (decodes(sequence)) Reserve(sequence, sequence.length(), /*may_preempt=*/true);
  }
  for (auto& sequence : running_) {
    const bool has_page = static_cast<int64_t>(sequence->pages.size()) * kKvBlock > sequence->fed;
    if (decodes(*sequence) && has_page) AddRows(*sequence, 1);
  }
}

// Rows for prompts, and for what is computed again, up to prefill_tokens; oldest first. Only if
// nothing else can go on, others are preempted for it.
void RunningBatch::PlanPrompts() {
  int64_t budget = options_.prefill_tokens;
  for (size_t i = 0; i < running_.size() && budget > 0; ++i) {
    Sequence& sequence = *running_[i];
    if (sequence.done || sequence.awaits_sibling || sequence.pending() == 0) continue;
    TakeKnownPages(sequence);
    int64_t count = std::min(budget, sequence.pending());
    if (!Reserve(sequence, sequence.fed + count, /*may_preempt=*/tokens_T_.empty())) {
      count =
          std::min(count, static_cast<int64_t>(sequence.pages.size()) * kKvBlock - sequence.fed);
    }
    if (count <= 0) continue;
    AddRows(sequence, count);
    budget -= count;
  }
}

// Its pages hold them. Full pages of the prompt become known at once: rows of this very pass that
// come later may see them, since every layer stores all keys and values before it attends.
void RunningBatch::AddRows(Sequence& sequence, int64_t count) {
  if (sequence.fed == 0) sequence.kv_version = version_;
  for (int64_t i = 0; i < count; ++i) {
    routes_.AddRow(pages_, sequence);
    tokens_T_.push_back(sequence.tokens[static_cast<size_t>(sequence.fed)]);
    rows_T_.push_back({sequence.page_data.data(), ++sequence.fed});
  }
  MakePagesKnown(sequence, std::min(sequence.fed, sequence.prompt_length()));
  if (sequence.pending() > 0) return;
  logit_rows_.push_back(static_cast<int32_t>(tokens_T_.size()) - 1);
  draws_.push_back({&sequence, nullptr, {}});
}

// The full pages of its first `tokens` tokens. If another sequence made the same block known first,
// this one's stays its own, and so do those behind it.
void RunningBatch::MakePagesKnown(Sequence& sequence, int64_t tokens) {
  while (sequence.sharing && (sequence.known + 1) * kKvBlock <= tokens) {
    const int64_t b = sequence.known;
    const Page parent = b == 0 ? KvPages::kNone : sequence.pages[static_cast<size_t>(b - 1)];
    sequence.sharing =
        cache_.Insert(parent, sequence.Block(b), sequence.pages[static_cast<size_t>(b)]);
    if (sequence.sharing) ++sequence.known;
  }
}

// If it stands at the end of its known pages: those that follow, but for its last token, which must
// be fed.
void RunningBatch::TakeKnownPages(Sequence& sequence) {
  const int64_t held = static_cast<int64_t>(sequence.pages.size());
  if (!sequence.sharing || sequence.known != held || sequence.fed != held * kKvBlock) return;
  const int64_t most = (sequence.length() - 1) / kKvBlock;
  Page parent = held == 0 ? KvPages::kNone : sequence.pages.back();
  while (sequence.known < most) {
    const Page page = cache_.Find(parent, sequence.Block(sequence.known));
    if (page == KvPages::kNone) break;
    pages_.AddReference(page);
    AddPage(sequence, page);
    ++sequence.known;
    parent = page;
  }
  if (sequence.fed == 0) sequence.kv_version = version_;
  stats_.tokens_shared += sequence.known * kKvBlock - sequence.fed;
  sequence.fed = sequence.known * kKvBlock;
}

void RunningBatch::Forward() {
  if (tokens_T_.empty()) return;
  stats_.tokens_fed += static_cast<int64_t>(tokens_T_.size());
  inference_->Forward(tokens_T_, rows_T_, logit_rows_);
  routes_.Write(*inference_);
  for (size_t i = 0; i < draws_.size(); ++i) {
    draws_[i].logits = inference_->logits(static_cast<int64_t>(i));
    if (draws_[i].sequence->response_length() == 0) KeepFedPrompt(draws_[i]);
  }
}

// Draws a token for each of `draws_` and appends it to its sequence.
void RunningBatch::Sample(const Engine::OnToken& on_token) {
  if (draws_.empty()) return;
  const int64_t count = static_cast<int64_t>(draws_.size());
  const int64_t grain = (count + options_.threads - 1) / options_.threads;
  pool_.ParallelFor(count, grain, [&](int64_t begin, int64_t end) {
    float* scratch = sampling_scratch_.data() + begin / grain * 3 * config_.vocab_size;
    for (int64_t i = begin; i < end; ++i) {
      Draw& draw = draws_[static_cast<size_t>(i)];
      draw.token = draw.sequence->Draw(draw.logits, config_.vocab_size, scratch);
    }
  });
  for (const Draw& draw : draws_) {
    draw.sequence->Append(draw.token, options_, version_);
    if (on_token) on_token({draw.sequence->request.key, draw.token, draw.sequence->top});
  }
  stats_.tokens_generated += count;
}

// Moves finished sequences out; the others keep their order.
void RunningBatch::Collect(std::vector<Engine::Finished>* done) {
  for (auto& sequence : running_) {
    if (!sequence->done) continue;
    std::string routing = routes_.Of(pages_, *sequence);
    ReleasePages(*sequence);
    live_.erase(sequence->request.key);
    done->push_back(sequence->Finish());
    done->back().routed_experts = std::move(routing);
  }
  running_.erase(std::remove_if(running_.begin(), running_.end(),
                                [](const auto& sequence) { return sequence->done; }),
                 running_.end());
}

// --- pages ---

void RunningBatch::AddPage(Sequence& sequence, Page page) {
  sequence.pages.push_back(page);
  sequence.page_data.push_back(pages_.data(page));
}

// Pages for so many positions. False: there are not enough, even after taking those of fed prompts
// and, if it may, of younger sequences; it has what there was.
bool RunningBatch::Reserve(Sequence& sequence, int64_t positions, bool may_preempt) {
  while (static_cast<int64_t>(sequence.pages.size()) < PagesFor(positions)) {
    if (pages_.free() == 0 && !fed_prompts_.empty()) DropFedPrompts(/*all=*/true);
    while (pages_.free() == 0) {
      if (!may_preempt || !PreemptYoungerThan(sequence.ticket)) return false;
    }
    AddPage(sequence, cache_.Take());
  }
  return true;
}

// Takes the pages of the youngest sequence that has some; it waits, to be computed again.
bool RunningBatch::PreemptYoungerThan(int64_t ticket) {
  for (size_t i = running_.size(); i-- > 0 && running_[i]->ticket > ticket;) {
    Sequence& victim = *running_[i];
    if (victim.pages.empty() || victim.done) continue;
    // What is known of it may still be there when it comes back.
    MakePagesKnown(victim, victim.fed);
    ReleasePages(victim);
    victim.awaits_sibling = false;
    ++stats_.preemptions;
    const auto place =
        std::upper_bound(waiting_.begin(), waiting_.end(), victim.ticket,
                         [](int64_t t, const auto& other) { return t < other->ticket; });
    waiting_.insert(place, std::move(running_[i]));
    running_.erase(running_.begin() + static_cast<ptrdiff_t>(i));
    return true;
  }
  return false;
}

// Last page first: see PrefixCache.
void RunningBatch::ReleasePages(Sequence& sequence) {
  for (size_t i = sequence.pages.size(); i-- > 0;) pages_.Release(sequence.pages[i]);
  sequence.pages.clear();
  sequence.page_data.clear();
  sequence.fed = 0;
  sequence.known = 0;
  sequence.sharing = true;
}

}  // namespace ponder::actor

#include "actor/engine.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actor/kv_pages.h"
#include "base/check.h"
#include "base/philox.h"
#include "base/status.h"

namespace ponder::actor {
namespace {

using kernels::AttentionRow;
using Page = KvPages::Page;

int64_t PagesFor(int64_t positions) {
  return (positions + kernels::kKvBlock - 1) / kernels::kKvBlock;
}

constexpr int64_t kMib = int64_t{1} << 20;

int64_t PageBytes(const moe::ModelConfig& config) {
  return kernels::KvPageFloats(config.attention_shape(), config.num_hidden_layers) *
         int64_t{sizeof(float)};
}

// A sequence that has been admitted. Its pages hold all positions that it could come to need.
struct Sequence {
  explicit Sequence(Engine::Request r)
      : request(std::move(r)), rng(request.seed, request.key.prompt_id, request.key.sample_index) {
    finished.key = request.key;
    finished.tokens.reserve(static_cast<size_t>(request.max_new_tokens));
    finished.logprobs.reserve(static_cast<size_t>(request.max_new_tokens));
  }
  Engine::Request request;
  SampleRng rng;
  std::vector<Page> pages;
  std::vector<float*> page_data;  // of `pages`
  Engine::Finished finished;
  bool done = false;
};

// A prompt whose keys and values siblings share: full pages by reference, the last, partial one by
// copy. The pages are those of its first sequence, which writes only behind the prompt.
struct Prefix {
  std::vector<int32_t> tokens;
  std::vector<Page> pages;  // one reference each, so that they outlive the first sequence
  std::vector<float*> page_data;
  bool fed = false;
  std::vector<float> logits;   // of the last token; kept once fed, if siblings still wait
  std::vector<size_t> joined;  // sequences (places in `running`) that wait for their first token
};

// A prompt token to feed.
struct PromptToken {
  size_t prefix;  // place in `prefixes`
  size_t index;   // in its tokens
};

// A row of logits from which a sequence draws its next token.
struct Draw {
  Sequence* sequence;
  const float* logits;
  kernels::SampledToken token;
};

}  // namespace

struct Engine::State {
  State(const Options& o, const moe::Model& model, int64_t page_capacity, int64_t page_floats)
      : options(o), config(model.config), pool(o.threads), pages(page_capacity, page_floats) {}

  void Admit();
  void Join(Request request);
  void FeedPrompts(std::vector<Finished>* done, const OnToken& on_token);
  void FeedChunk(absl::Span<const PromptToken> chunk, const OnToken& on_token);
  void DrawFirstTokens(Prefix& prefix, const float* logits);
  void Decode(const OnToken& on_token);
  void Sample(const OnToken& on_token);
  void Collect(std::vector<Finished>* done);
  void DropPrefix(Prefix& prefix);
  void ClearRows() {
    tokens_T.clear();
    rows_T.clear();
    logit_rows.clear();
    draws.clear();
  }
  bool NextIsSiblingOf(const Prefix& prefix) const {
    return !waiting.empty() && waiting.front().prompt_tokens == prefix.tokens;
  }

  const Options options;
  const moe::ModelConfig config;
  kernels::ThreadPool pool;
  std::unique_ptr<moe::Inference> inference;
  int64_t version = 0;

  KvPages pages;
  std::deque<Request> waiting;
  std::set<SampleKey> live;
  std::vector<Sequence> running;
  std::vector<Prefix> prefixes;  // between steps at most one: that of the next request

  // Of one forward pass; kept to save their memory.
  std::vector<int32_t> tokens_T;
  std::vector<AttentionRow> rows_T;
  std::vector<int32_t> logit_rows;
  std::vector<Draw> draws;
  std::vector<PromptToken> feed;
  std::vector<float> sampling_scratch;  // [threads, 2, vocabulary]
};

// Admits requests in order while there are places and pages.
void Engine::State::Admit() {
  while (!waiting.empty() && static_cast<int64_t>(running.size()) < options.max_batch) {
    const Request& next = waiting.front();
    const int64_t prompt = static_cast<int64_t>(next.prompt_tokens.size());
    const bool sibling = !prefixes.empty() && NextIsSiblingOf(prefixes.back());
    const int64_t shared = sibling ? prompt / kernels::kKvBlock : 0;
    if (PagesFor(prompt + next.max_new_tokens - 1) - shared > pages.free()) return;
    Request request = std::move(waiting.front());
    waiting.pop_front();
    if (!sibling) prefixes.emplace_back().tokens = request.prompt_tokens;
    Join(std::move(request));
  }
}

// Gives the sequence its pages and adds it to the last prefix.
void Engine::State::Join(Request request) {
  Prefix& prefix = prefixes.back();
  const size_t place = running.size();
  Sequence& sequence = running.emplace_back(std::move(request));
  const int64_t prompt = static_cast<int64_t>(prefix.tokens.size());
  const int64_t total = PagesFor(prompt + sequence.request.max_new_tokens - 1);
  const bool first = prefix.pages.empty();
  for (int64_t i = 0; i < total; ++i) {
    const bool shared = !first && i < prompt / kernels::kKvBlock;
    if (shared) pages.AddReference(prefix.pages[static_cast<size_t>(i)]);
    sequence.pages.push_back(shared ? prefix.pages[static_cast<size_t>(i)] : pages.Take());
    sequence.page_data.push_back(pages.data(sequence.pages.back()));
  }
  if (first) {
    prefix.pages.assign(sequence.pages.begin(), sequence.pages.begin() + PagesFor(prompt));
    for (Page page : prefix.pages) {
      pages.AddReference(page);
      prefix.page_data.push_back(pages.data(page));
    }
  }
  prefix.joined.push_back(place);
}

// Feeds the new prompts and draws the first token of every sequence that has joined.
void Engine::State::FeedPrompts(std::vector<Finished>* done, const OnToken& on_token) {
  if (prefixes.empty()) return;
  draws.clear();
  if (prefixes.front().fed) DrawFirstTokens(prefixes.front(), prefixes.front().logits.data());
  Sample(on_token);
  feed.clear();
  for (size_t p = 0; p < prefixes.size(); ++p) {
    for (size_t i = 0; !prefixes[p].fed && i < prefixes[p].tokens.size(); ++i)
      feed.push_back({p, i});
  }
  const size_t chunk = static_cast<size_t>(options.prefill_tokens);
  for (size_t begin = 0; begin < feed.size(); begin += chunk) {
    FeedChunk(absl::MakeConstSpan(feed).subspan(begin, chunk), on_token);
  }
  // Only the prefix of the next request is still of use.
  if (NextIsSiblingOf(prefixes.back())) std::swap(prefixes.front(), prefixes.back());
  while (!prefixes.empty() && !(prefixes.size() == 1 && NextIsSiblingOf(prefixes.front()))) {
    DropPrefix(prefixes.back());
    prefixes.pop_back();
  }
  Collect(done);
}

// One forward pass over prompt tokens; sequences whose prompt it completes get their first token.
void Engine::State::FeedChunk(absl::Span<const PromptToken> chunk, const OnToken& on_token) {
  ClearRows();
  std::vector<Prefix*> completed;
  for (const PromptToken& at : chunk) {
    Prefix& prefix = prefixes[at.prefix];
    if (at.index + 1 == prefix.tokens.size()) {
      logit_rows.push_back(static_cast<int32_t>(tokens_T.size()));
      completed.push_back(&prefix);
    }
    tokens_T.push_back(prefix.tokens[at.index]);
    rows_T.push_back({prefix.page_data.data(), static_cast<int64_t>(at.index) + 1});
  }
  inference->Forward(tokens_T, rows_T, logit_rows);
  for (size_t i = 0; i < completed.size(); ++i) {
    const float* logits = inference->logits(static_cast<int64_t>(i));
    completed[i]->fed = true;
    if (NextIsSiblingOf(*completed[i]))
      completed[i]->logits.assign(logits, logits + config.vocab_size);
    DrawFirstTokens(*completed[i], logits);
  }
  Sample(on_token);
}

// Siblings get their own copy of the prompt's last page, before anything is written behind the
// prompt.
void Engine::State::DrawFirstTokens(Prefix& prefix, const float* logits) {
  const size_t full = prefix.tokens.size() / kernels::kKvBlock;
  for (size_t place : prefix.joined) {
    Sequence& sequence = running[place];
    if (full < prefix.pages.size() && sequence.pages[full] != prefix.pages[full]) {
      pages.CopyContents(prefix.pages[full], sequence.pages[full]);
    }
    draws.push_back({&sequence, logits, {}});
  }
  prefix.joined.clear();
}

void Engine::State::Decode(const OnToken& on_token) {
  if (running.empty()) return;
  ClearRows();
  for (Sequence& sequence : running) {
    // The newest token has no keys yet.
    const size_t length = sequence.request.prompt_tokens.size() + sequence.finished.tokens.size();
    logit_rows.push_back(static_cast<int32_t>(tokens_T.size()));
    tokens_T.push_back(sequence.finished.tokens.back());
    rows_T.push_back({sequence.page_data.data(), static_cast<int64_t>(length)});
  }
  inference->Forward(tokens_T, rows_T, logit_rows);
  for (size_t i = 0; i < running.size(); ++i) {
    draws.push_back({&running[i], inference->logits(static_cast<int64_t>(i)), {}});
  }
  Sample(on_token);
}

// Draws a token for each of `draws` and appends it to its sequence.
void Engine::State::Sample(const OnToken& on_token) {
  if (draws.empty()) return;
  const int64_t count = static_cast<int64_t>(draws.size());
  const int64_t grain = (count + options.threads - 1) / options.threads;
  pool.ParallelFor(count, grain, [&](int64_t begin, int64_t end) {
    float* scratch = sampling_scratch.data() + begin / grain * 2 * config.vocab_size;
    for (int64_t i = begin; i < end; ++i) {
      Draw& draw = draws[static_cast<size_t>(i)];
      const Sequence& sequence = *draw.sequence;
      const int64_t position = static_cast<int64_t>(sequence.finished.tokens.size());
      draw.token = kernels::SampleToken(draw.logits, config.vocab_size, sequence.request.sampling,
                                        sequence.rng.Uniform(position), scratch);
    }
  });
  for (const Draw& draw : draws) {
    Finished& finished = draw.sequence->finished;
    if (finished.segments.empty() || finished.segments.back().weight_version != version) {
      finished.segments.push_back({version, static_cast<int64_t>(finished.tokens.size())});
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
void Engine::State::Collect(std::vector<Finished>* done) {
  size_t kept = 0;
  for (size_t i = 0; i < running.size(); ++i) {
    Sequence& sequence = running[i];
    if (!sequence.done) {
      if (kept != i) running[kept] = std::move(sequence);
      ++kept;
      continue;
    }
    for (Page page : sequence.pages) pages.Release(page);
    live.erase(sequence.request.key);
    done->push_back(std::move(sequence.finished));
  }
  running.erase(running.begin() + static_cast<ptrdiff_t>(kept), running.end());
}

void Engine::State::DropPrefix(Prefix& prefix) {
  for (Page page : prefix.pages) pages.Release(page);
}

int64_t Engine::LeastKvCacheMib(const moe::ModelConfig& config) {
  // One page more than the longest sequence: while siblings wait, their prompt's last page is held
  // beside the copies.
  const int64_t pages = PagesFor(config.max_position_embeddings) + 1;
  return (pages * PageBytes(config) + kMib - 1) / kMib;
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Make(const Options& options,
                                                     const moe::Model& model, int64_t version) {
  if (options.threads < 1 || options.max_batch < 1 || options.prefill_tokens < 1) {
    return absl::InvalidArgumentError("threads, max_batch and prefill_tokens must be at least 1");
  }
  PONDER_RETURN_IF_ERROR(model.config.Validate());
  const int64_t least = LeastKvCacheMib(model.config);
  if (options.kv_cache_mib < least) {
    return absl::ResourceExhaustedError(
        absl::StrCat("kv_cache_mib is ", options.kv_cache_mib, ", but one sequence of ",
                     model.config.max_position_embeddings, " tokens needs ", least));
  }
  const int64_t page_bytes = PageBytes(model.config);
  const int64_t capacity = std::min<int64_t>(options.kv_cache_mib * kMib / page_bytes,
                                             std::numeric_limits<int32_t>::max());
  auto state =
      std::make_unique<State>(options, model, capacity, page_bytes / int64_t{sizeof(float)});
  PONDER_ASSIGN_OR_RETURN(auto packed, moe::PackModel(state->pool, model));
  state->inference = std::make_unique<moe::Inference>(state->pool, std::move(packed));
  state->version = version;
  state->sampling_scratch.resize(
      static_cast<size_t>(options.threads * 2 * model.config.vocab_size));
  return std::unique_ptr<Engine>(new Engine(std::move(state)));
}

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::~Engine() = default;

absl::Status Engine::Check(const Request& request) const {
  const moe::ModelConfig& config = state_->config;
  const int64_t prompt = static_cast<int64_t>(request.prompt_tokens.size());
  const std::string name = absl::StrCat("prompt ", request.key.prompt_id);
  if (prompt == 0) return absl::InvalidArgumentError(absl::StrCat(name, " has no tokens"));
  if (request.max_new_tokens < 1)
    return absl::InvalidArgumentError("max_new_tokens must be at least 1");
  if (request.max_new_tokens > config.max_position_embeddings - prompt) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, " has ", prompt, " tokens; with ", request.max_new_tokens,
        " new ones it exceeds max_position_embeddings (", config.max_position_embeddings, ")"));
  }
  for (int32_t token : request.prompt_tokens) {
    if (token < 0 || token >= config.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, " has token ", token, ", outside the vocabulary of ", config.vocab_size));
    }
  }
  const kernels::SamplingOptions& sampling = request.sampling;
  if (!(sampling.temperature >= 0) || !std::isfinite(sampling.temperature)) {
    return absl::InvalidArgumentError("temperature must be 0 (greedy) or more");
  }
  if (!(sampling.top_p > 0 && sampling.top_p <= 1))
    return absl::InvalidArgumentError("top_p must be in (0, 1]");
  if (state_->live.count(request.key) > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ", sample ", request.key.sample_index, " is being generated already"));
  }
  return absl::OkStatus();
}

absl::Status Engine::Enqueue(Request request) {
  PONDER_RETURN_IF_ERROR(Check(request));
  state_->live.insert(request.key);
  state_->waiting.push_back(std::move(request));
  return absl::OkStatus();
}

absl::Status Engine::Step(std::vector<Finished>* done, const OnToken& on_token) {
  state_->Admit();
  state_->FeedPrompts(done, on_token);
  state_->Decode(on_token);
  state_->Collect(done);
  return absl::OkStatus();
}

int64_t Engine::pending() const { return static_cast<int64_t>(state_->live.size()); }

absl::Status Engine::SetModel(const moe::Model& model, int64_t version) {
  if (model.config.ToJson() != state_->config.ToJson()) {
    return absl::InvalidArgumentError("the new weights are for a model of another config");
  }
  PONDER_ASSIGN_OR_RETURN(auto packed, moe::PackModel(state_->pool, model));
  state_->inference->SetModel(std::move(packed));
  state_->version = version;
  // Later siblings feed their prompt again: it must be seen by the new weights.
  for (Prefix& prefix : state_->prefixes) state_->DropPrefix(prefix);
  state_->prefixes.clear();
  return absl::OkStatus();
}

int64_t Engine::version() const { return state_->version; }
int64_t Engine::pages_in_use() const { return state_->pages.capacity() - state_->pages.free(); }
const moe::ModelConfig& Engine::config() const { return state_->config; }

absl::StatusOr<std::vector<Engine::Finished>> GenerateAll(
    Engine& engine, std::vector<Engine::Request> requests,
    const std::function<void(int64_t done, int64_t total)>& progress) {
  PONDER_CHECK(engine.pending() == 0, engine.pending(), " other sequences are pending");
  std::map<SampleKey, size_t> place;
  for (size_t i = 0; i < requests.size(); ++i) {
    PONDER_RETURN_IF_ERROR(engine.Check(requests[i]));
    PONDER_CHECK(place.emplace(requests[i].key, i).second, "prompt ", requests[i].key.prompt_id,
                 ", sample ", requests[i].key.sample_index, " is requested twice");
  }
  for (Engine::Request& request : requests)
    PONDER_RETURN_IF_ERROR(engine.Enqueue(std::move(request)));
  std::vector<Engine::Finished> results(place.size());
  std::vector<Engine::Finished> done;
  while (engine.pending() > 0) {
    done.clear();
    PONDER_RETURN_IF_ERROR(engine.Step(&done));
    for (Engine::Finished& finished : done) results[place.at(finished.key)] = std::move(finished);
    const int64_t total = static_cast<int64_t>(results.size());
    if (progress && !done.empty()) progress(total - engine.pending(), total);
  }
  return results;
}

}  // namespace ponder::actor

// RunningBatch: the sequences of an Engine that run, with their KV pages, and those that wait to
// join.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <vector>

#include "absl/types/span.h"
#include "actor/engine.h"
#include "actor/kv_pages.h"
#include "base/philox.h"
#include "moe/inference.h"

namespace ponder::actor {

// Pages that hold so many positions.
int64_t PagesFor(int64_t positions);

// A machine; one thread at a time. Requests have been checked by the Engine.
class RunningBatch {
 public:
  // `capacity` KV pages: at least one more than the longest sequence needs.
  RunningBatch(const Engine::Options& options, const moe::ModelConfig& config, int64_t capacity);

  kernels::ThreadPool& pool() { return pool_; }
  void SetModel(std::shared_ptr<const moe::PackedModel> model, int64_t version);
  void Enqueue(Engine::Request request);
  void Step(std::vector<Engine::Finished>* done, const Engine::OnToken& on_token);

  bool IsLive(const SampleKey& key) const { return live_.count(key) > 0; }
  int64_t pending() const { return static_cast<int64_t>(live_.size()); }
  int64_t pages_in_use() const { return pages_.capacity() - pages_.free(); }
  int64_t version() const { return version_; }
  const moe::ModelConfig& config() const { return config_; }

 private:
  using Page = KvPages::Page;

  // A sequence that has been admitted. Its pages hold all positions that it could come to need.
  struct Sequence {
    explicit Sequence(Engine::Request r);
    Engine::Request request;
    SampleRng rng;
    std::vector<Page> pages;
    std::vector<float*> page_data;  // of `pages`
    Engine::Finished finished;
    bool done = false;
  };
  // A prompt whose keys and values siblings share: full pages by reference, the last, partial one
  // by copy. The pages are those of its first sequence, which writes only behind the prompt.
  struct Prefix {
    std::vector<int32_t> tokens;
    std::vector<Page> pages;  // one reference each, so that they outlive the first sequence
    std::vector<float*> page_data;
    bool fed = false;
    std::vector<float> logits;   // of the last token; kept once fed, if siblings still wait
    std::vector<size_t> joined;  // sequences (places in running_) that wait for their first token
  };
  // A prompt token to feed.
  struct PromptToken {
    size_t prefix;  // place in prefixes_
    size_t index;   // in its tokens
  };
  // A row of logits from which a sequence draws its next token.
  struct Draw {
    Sequence* sequence;
    const float* logits;
    kernels::SampledToken token;
  };

  void Admit();
  void Join(Engine::Request request);
  void FeedPrompts(std::vector<Engine::Finished>* done, const Engine::OnToken& on_token);
  void FeedChunk(absl::Span<const PromptToken> chunk, const Engine::OnToken& on_token);
  void DrawFirstTokens(Prefix& prefix, const float* logits);
  void Decode(const Engine::OnToken& on_token);
  void Sample(const Engine::OnToken& on_token);
  void Collect(std::vector<Engine::Finished>* done);
  void DropPrefix(Prefix& prefix);
  void ClearRows();
  bool NextIsSiblingOf(const Prefix& prefix) const;

  const Engine::Options options_;
  const moe::ModelConfig config_;
  kernels::ThreadPool pool_;
  std::unique_ptr<moe::Inference> inference_;
  int64_t version_ = 0;

  KvPages pages_;
  std::deque<Engine::Request> waiting_;
  std::set<SampleKey> live_;  // waiting or running
  std::vector<Sequence> running_;
  std::vector<Prefix> prefixes_;  // between steps at most one: that of the next request

  // Of one forward pass; kept to save their memory.
  std::vector<int32_t> tokens_T_;
  std::vector<kernels::AttentionRow> rows_T_;
  std::vector<int32_t> logit_rows_;
  std::vector<Draw> draws_;
  std::vector<PromptToken> feed_;
  std::vector<float> sampling_scratch_;  // [threads, 2, vocabulary]
};

}  // namespace ponder::actor

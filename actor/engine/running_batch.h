// RunningBatch: the sequences of an Engine that run, with their KV pages, and those that wait to
// join.
//
// Feeding a prompt, decoding and computing again after a preemption are the same thing: a sequence
// has tokens of which the first `fed` are in its pages; when all are, the next one is drawn.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "actor/engine/engine.h"
#include "actor/engine/kv_pages.h"
#include "actor/engine/prefix_cache.h"
#include "actor/engine/route_records.h"
#include "actor/engine/sequence.h"
#include "moe/inference.h"

namespace ponder::actor {

// Pages that hold so many positions.
int64_t PagesFor(int64_t positions);

// A machine; one thread at a time. Requests have been checked by the Engine.
class RunningBatch {
 public:
  // `capacity` KV pages: enough for the longest sequence.
  RunningBatch(const Engine::Options& options, const moe::ModelConfig& config, int64_t capacity);

  kernels::ThreadPool& pool() { return pool_; }
  void SetModel(std::shared_ptr<const moe::PackedModel> model, int64_t version);
  void Enqueue(Engine::Request request);
  void Step(std::vector<Engine::Finished>* done, const Engine::OnToken& on_token);
  std::optional<Engine::Finished> Cancel(const SampleKey& key);

  bool IsLive(const SampleKey& key) const { return live_.count(key) > 0; }
  int64_t pending() const { return static_cast<int64_t>(live_.size()); }
  int64_t pages_in_use() const { return pages_.capacity() - pages_.free(); }
  int64_t version() const { return version_; }
  Engine::Stats stats() const;
  const moe::ModelConfig& config() const { return config_; }
  const Engine::Options& options() const { return options_; }

 private:
  using Page = KvPages::Page;
  using Sequences = std::vector<std::unique_ptr<Sequence>>;

  // A prompt that has been fed, for the siblings that come next: its last, partial page, and the
  // logits that all draw their first token from. Its full pages are in the PrefixCache.
  struct FedPrompt {
    std::vector<int32_t> tokens;
    uint64_t hash = 0;
    Page tail =
        KvPages::kNone;  // holds a reference; the first sequence writes on behind the prompt
    std::vector<float> logits;
  };
  // A row of logits from which a sequence draws its next token.
  struct Draw {
    Sequence* sequence = nullptr;
    const float* logits = nullptr;
    kernels::SampledToken token;
  };

  // Joining.
  void Admit();
  bool MakeRoom(Sequence& sequence);
  bool IsBeingFed(const Sequence& sequence) const;
  void ShareFedPrompts();
  bool Fork(Sequence& sequence, const FedPrompt& prompt);
  void KeepFedPrompt(const Draw& draw);
  bool HasSibling(const FedPrompt& prompt) const;
  void DropFedPrompts(bool all);
  const Sequence* Next() const;

  // One forward pass.
  void PlanDecode();
  void PlanPrompts();
  void AddRows(Sequence& sequence, int64_t count);
  void MakePagesKnown(Sequence& sequence, int64_t tokens);
  void TakeKnownPages(Sequence& sequence);
  void Forward();
  void Sample(const Engine::OnToken& on_token);
  void Collect(std::vector<Engine::Finished>* done);

  // Pages.
  void AddPage(Sequence& sequence, Page page);
  bool Reserve(Sequence& sequence, int64_t positions, bool may_preempt);
  bool PreemptYoungerThan(int64_t ticket);
  void ReleasePages(Sequence& sequence);

  const Engine::Options options_;
  const moe::ModelConfig config_;
  RouteRecords routes_;
  kernels::ThreadPool pool_;
  std::unique_ptr<moe::Inference> inference_;
  int64_t version_ = 0;

  KvPages pages_;
  PrefixCache cache_{pages_};
  std::deque<std::unique_ptr<Sequence>> waiting_;  // in order of arrival; preempted ones first
  Sequences running_;                              // in order of arrival
  std::map<SampleKey, Sequence*> live_;            // waiting or running
  std::vector<FedPrompt> fed_prompts_;             // with siblings that will join, few
  int64_t next_ticket_ = 0;
  Engine::Stats stats_;

  // Of one forward pass; kept to save their memory.
  std::vector<int32_t> tokens_T_;
  std::vector<kernels::AttentionRow> rows_T_;
  std::vector<int32_t> logit_rows_;
  std::vector<Draw> draws_;
  std::vector<Page> found_;
  std::vector<float> sampling_scratch_;  // [threads, 3, vocabulary]
};

}  // namespace ponder::actor

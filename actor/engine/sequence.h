// Sequence: a request in the making.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "actor/engine/engine.h"
#include "actor/engine/kv_pages.h"
#include "actor/engine/stop_strings.h"
#include "base/philox.h"

namespace ponder::actor {

// A value, but for the pages, which the RunningBatch gives and takes.
struct Sequence {
  // `ticket`: its place in the order of arrival.
  Sequence(Engine::Request r, int64_t t);

  // Makes room for all tokens, so that none of them allocates. Before the first Append.
  void Reserve();
  int64_t length() const { return static_cast<int64_t>(tokens.size()); }
  int64_t prompt_length() const { return static_cast<int64_t>(request.prompt_tokens.size()); }
  int64_t response_length() const { return length() - prompt_length(); }
  // Tokens to feed before the next can be drawn.
  int64_t pending() const { return length() - fed; }
  absl::Span<const int32_t> Block(int64_t index) const;

  // The next token, from the logits behind the last; fills `top`. `scratch` as for
  // kernels::SampleToken.
  kernels::SampledToken Draw(const float* logits, int64_t vocab, float* scratch);
  // Appends it and finds out whether it is the last.
  void Append(const kernels::SampledToken& token, const Engine::Options& options, int64_t version);
  // What it has made; it is not to be used any more.
  Engine::Finished Finish();

  Engine::Request request;
  int64_t ticket;
  uint64_t prompt_hash;
  std::vector<int32_t> tokens;  // the prompt, then the response
  int64_t fed = 0;              // tokens whose keys and values are in the pages
  std::vector<KvPages::Page> pages;
  std::vector<float*> page_data;  // of `pages`
  int64_t known = 0;              // leading pages that are in the PrefixCache
  bool sharing = true;            // whether further pages may become known
  bool awaits_sibling = false;    // another one feeds the same prompt
  // The oldest weights that had a part in the keys and values; of no meaning while fed is 0.
  int64_t kv_version = 0;
  bool done = false;
  std::vector<std::pair<int32_t, float>> top;  // of the token drawn last

 private:
  bool MustClose() const;
  bool EndsWith(int32_t token, const Engine::Options& options);

  SampleRng rng_;
  std::optional<StopStrings> stops_;
  int64_t thought_ = -1;  // tokens of the open thought so far; -1: none is open
  Engine::Finished finished_;
};

}  // namespace ponder::actor

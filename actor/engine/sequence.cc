#include "actor/engine/sequence.h"

#include <algorithm>

#include "absl/algorithm/container.h"
#include "moe/kernels/attention.h"

namespace ponder::actor {
namespace {

uint64_t HashOf(absl::Span<const int32_t> tokens) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const int32_t token : tokens) hash = (hash ^ static_cast<uint32_t>(token)) * 0x100000001B3u;
  return hash;
}

}  // namespace

Sequence::Sequence(Engine::Request r, int64_t t)
    : request(std::move(r)),
      ticket(t),
      prompt_hash(HashOf(request.prompt_tokens)),
      rng_(request.seed,
           request.random_stream.empty() ? request.key.prompt_id : request.random_stream,
           request.key.sample_index) {
  finished_.key = request.key;
  if (!request.stop_strings.empty()) stops_.emplace(request.stop_strings);
  const Engine::ThinkBudget& think = request.think;
  for (const int32_t token : request.prompt_tokens) {
    if (token == think.open) {
      thought_ = 0;
    } else if (token == think.close) {
      thought_ = -1;
    } else if (thought_ >= 0) {
      ++thought_;
    }
  }
}

void Sequence::Reserve() {
  if (!tokens.empty()) return;
  const size_t most = request.prompt_tokens.size() + static_cast<size_t>(request.max_new_tokens);
  const size_t most_new = static_cast<size_t>(request.max_new_tokens);
  tokens.reserve(most);
  tokens = request.prompt_tokens;
  tokens.reserve(most);
  const size_t most_pages = most / static_cast<size_t>(kernels::kKvBlock) + 1;
  pages.reserve(most_pages);
  page_data.reserve(most_pages);
  finished_.logprobs.reserve(most_new);
  const kernels::SamplingOptions& sampling = request.sampling;
  if (sampling.temperature != 0 && sampling.temperature != 1)
    finished_.untempered_logprobs.reserve(most_new);
  if (sampling.truncates() || sampling.adjusts() || request.think.tokens >= 0)
    finished_.drawn_logprobs.reserve(most_new);
  finished_.segments.reserve(4);
  top.resize(static_cast<size_t>(request.top_logprobs));
}

absl::Span<const int32_t> Sequence::Block(int64_t index) const {
  return absl::MakeConstSpan(tokens).subspan(static_cast<size_t>(index * kernels::kKvBlock),
                                             static_cast<size_t>(kernels::kKvBlock));
}

bool Sequence::MustClose() const {
  return request.think.tokens >= 0 && thought_ >= request.think.tokens;
}

kernels::SampledToken Sequence::Draw(const float* logits, int64_t vocab, float* scratch) {
  kernels::TopTokens(logits, vocab, absl::MakeSpan(top));
  if (MustClose()) return kernels::ForceToken(logits, vocab, request.sampling, request.think.close);
  return kernels::SampleToken(logits, vocab, request.sampling, rng_.Uniform(response_length()),
                              scratch, tokens);
}

void Sequence::Append(const kernels::SampledToken& token, const Engine::Options& options,
                      int64_t version) {
  std::vector<Segment>& segments = finished_.segments;
  if (segments.empty() || segments.back().weight_version != version ||
      segments.back().kv_version != kv_version) {
    segments.push_back({version, response_length(), kv_version});
  }
  if (MustClose()) finished_.forced.push_back(response_length());
  tokens.push_back(token.token);
  finished_.logprobs.push_back(token.logprob);
  if (finished_.untempered_logprobs.capacity() > 0)
    finished_.untempered_logprobs.push_back(token.untempered_logprob);
  if (finished_.drawn_logprobs.capacity() > 0)
    finished_.drawn_logprobs.push_back(token.drawn_logprob);
  if (token.token == request.think.open) {
    thought_ = 0;
  } else if (token.token == request.think.close) {
    thought_ = -1;
  } else if (thought_ >= 0) {
    ++thought_;
  }
  done = EndsWith(token.token, options);
}

bool Sequence::EndsWith(int32_t token, const Engine::Options& options) {
  if (absl::c_linear_search(request.eos_tokens, token)) {
    finished_.stop_reason = StopReason::kEndOfSequence;
    return true;
  }
  finished_.stop_reason = StopReason::kStop;
  if (absl::c_linear_search(request.stop_tokens, token)) return true;
  if (stops_.has_value()) {
    stops_->Push(options.token_text(token));
    if (stops_->stopped()) return true;
  }
  finished_.stop_reason = StopReason::kLength;
  return response_length() == request.max_new_tokens;
}

Engine::Finished Sequence::Finish() {
  if (!done) finished_.stop_reason = StopReason::kCancelled;
  if (!tokens.empty()) finished_.tokens.assign(tokens.begin() + prompt_length(), tokens.end());
  return std::move(finished_);
}

}  // namespace ponder::actor

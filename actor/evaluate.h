// Evaluation: how often a model's answers are correct, over k samples a prompt and greedily.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "actor/engine/engine.h"
#include "actor/links.h"
#include "actor/pass_at_k.h"
#include "base/types.h"
#include "data/model_text.h"
#include "moe/checkpoint.h"
#include "nlohmann/json_fwd.hpp"

namespace ponder::actor {

struct EvalOptions {
  int64_t samples = 4;  // k: answers a prompt, beside the greedy one
  kernels::SamplingOptions sampling;
  int64_t max_response_tokens = 0;  // 0: what max_position_embeddings leaves
  int64_t max_prompts = 0;          // the first ones are taken; 0: all
  uint64_t seed = 0;
  std::string system_prompt;
  std::shared_ptr<const data::ModelText> text = data::ByteText();  // of the model
  int64_t examples = 3;  // how many answers to keep as text
  Engine::Options engine;
  // Called now and then with how many answers have been generated, out of how many.
  std::function<void(int64_t done, int64_t total)> progress;
  // Called with every sampled answer that was judged, prompt by prompt.
  std::function<void(const Prompt& prompt, const std::string& response, const Verdict& verdict)>
      on_sample;
};

// A share of correct answers with its 95% interval (Wilson over prompts).
struct Accuracy {
  double value = 0;
  Interval interval;
};

// A value. An answer that the verifier could not judge (kError) counts in `errors` and nowhere
// else; one that it found unparsable, or ran out of time on, is not correct. One that has a score
// alone is neither right nor wrong.
struct EvalReport {
  struct PassAt {
    int64_t k = 0;
    Accuracy accuracy;
  };
  struct Example {
    std::string prompt_id, question, gold, response;
    Verdict verdict;
  };
  struct Source {
    std::string name;
    int64_t prompts = 0;  // of those with a judged answer
    Accuracy avg_at_k;
  };
  int64_t prompts = 0;
  int64_t samples = 0;          // k
  Accuracy avg_at_k;            // mean over prompts of the share of correct answers
  std::vector<PassAt> pass_at;  // unbiased, for k = 1, 2, 4, ... and k itself, over the prompts
                                // with so many judged answers
  std::vector<Source> sources;  // avg_at_k of each, where there are several
  Accuracy greedy;
  double mean_response_tokens = 0;  // of the k samples, end-of-sequence included
  int64_t scored = 0;               // of the k samples: verdicts with a score
  double mean_score = 0;            // of these
  int64_t unparsable = 0;           // of the k samples
  int64_t cut = 0;                  // of the k samples: stopped at max_response_tokens
  int64_t errors = 0;               // of all answers
  std::string first_error;
  std::vector<Example> examples;  // sampled answers of the first prompts
  double generate_seconds = 0;
  double grade_seconds = 0;

  // Model output is bytes: dump with error_handler_t::replace.
  nlohmann::ordered_json ToJson() const;
};

// InvalidArgument: no prompts, one that does not fit the model, or a bad option. Unavailable: the
// verifier judged nothing.
absl::StatusOr<EvalReport> Evaluate(const moe::Model& model, absl::Span<const Prompt> prompts,
                                    const EvalOptions& options, VerifierLink& verifier);

}  // namespace ponder::actor

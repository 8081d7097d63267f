// The words of Ponder: the types that flow from prompt to weight update.
//
// Every type here is a value: a plain struct, made whole by one stage and only read by the next.
//
//   Prompt -> Lease -> Rollout x G -> Verdict x G -> Group -> (Group + Score x G) -> Update -> WeightManifest
//
// Their wire twins are in proto/types.proto; proto/convert.h is the only place that maps one to the other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ponder {

// One turn of a chat. `role` is "system", "user" or "assistant".
struct Message {
  std::string role;
  std::string content;
};

// A question with a checkable answer. Immutable once loaded.
struct Prompt {
  std::string id;                 // unique within a prompt set, never empty
  std::string kind;  // which grader judges it: math, code, choice, puzzle, judge, reward or preference
  std::vector<Message> messages;  // what the model is shown
  std::string gold;               // ground truth; sent to the verifier, never shown to the model
  std::string source;             // data set it came from, for statistics
  int32_t difficulty = 0;         // level within the source; 0 when unknown
};

// Names one sample: the `sample_index`-th answer ever drawn for a prompt. Unique in a run: when a prompt comes up again
// in a later epoch its samples go on counting. It keys the random draws and the ledger.
struct SampleKey {
  std::string prompt_id;
  int64_t sample_index = 0;

  bool operator==(const SampleKey& other) const {
    return sample_index == other.sample_index && prompt_id == other.prompt_id;
  }
  bool operator<(const SampleKey& other) const {
    return prompt_id != other.prompt_id ? prompt_id < other.prompt_id
                                        : sample_index < other.sample_index;
  }
};

// The right, for a while, to generate one sample.
struct Lease {
  SampleKey key;
  int64_t group_id = 0;          // leases of one group share it; grows in lease order
  int32_t attempt = 0;           // 0 for the first actor that got it, +1 each time it is handed out again
  int64_t deadline_unix_ms = 0;  // after this the pool may hand it to another actor
  int64_t least_version = 0;     // do not start under weights older than this
};

// A run of tokens sampled under one version of the weights.
struct Segment {
  int64_t weight_version = 0;
  int64_t first_token = 0;  // index into Rollout::tokens
  // The oldest weights that made some of the keys and values that these tokens saw. Below weight_version: they were
  // kept when the weights were swapped, and the tokens are on-policy under no version.
  int64_t kv_version = weight_version;
};

enum class StopReason {
  kEndOfSequence = 0,  // the model produced its end-of-sequence token (which is part of `tokens`)
  kLength = 1,         // cut at the token budget
  kStop = 2,           // a stop token or a stop string came (part of `tokens`)
  kCancelled = 3,      // given up before its end; never trained on
};

// What the model answered: tokens, and how likely each was under the policy that drew it.
struct Rollout {
  SampleKey key;
  int64_t group_id = 0;
  int32_t attempt = 0;
  std::vector<int32_t> prompt_tokens;  // as fed to the model
  std::vector<int32_t> tokens;         // as sampled; text is a view of this, never re-encoded
  std::vector<float> logprobs;         // log pi_behaviour(tokens[t]), natural log, temperature applied
  std::vector<Segment> segments;       // in order; the first has first_token 0
  // Where the actor records it: the experts that the routers chose for every token that was fed, which is all but the
  // last, as moe/routing_record.h writes them.
  std::string routed_experts;
  StopReason stop_reason = StopReason::kEndOfSequence;
  double generate_seconds = 0;         // wall clock from lease to last token
};

// What the verifier found out. An error is not 'wrong': it carries no reward.
struct Verdict {
  enum class Outcome {
    kCorrect = 0,
    kWrong = 1,
    kUnparsable = 2,  // no answer could be read from the response (unclosed thought, no final answer)
    kTimeout = 3,     // judging ran over its budget
    kError = 4,       // the verifier failed; nothing is known about the answer
    kScored = 5,      // there is no right or wrong, only how good the answer is: `score`
  };
  Outcome outcome = Outcome::kError;
  // How good it is, of kinds that can tell: finite, the higher the better, on the kind's own scale. Beside a verdict of
  // right or wrong it is one part of the reward more.
  std::optional<double> score;
  std::string extracted;   // the final answer as read from the response; may be empty
  std::string reason;      // one line of evidence, for people
  std::string detail;      // grader-specific code, e.g. "TLE" for programs; may be empty
  double cost_seconds = 0;
};

// One finished sample.
struct Sample {
  Rollout rollout;
  Verdict verdict;
};

// One prompt with its G finished samples: the unit that is scored and trained.
struct Group {
  int64_t group_id = 0;
  Prompt prompt;
  std::vector<Sample> samples;  // ordered by sample_index
};

// What reward/ made of one sample.
struct Score {
  double reward = 0;       // normalised + overlong
  double correctness = 0;  // of right and wrong; 0 where there is neither
  double preference = 0;   // of the verdict's score; 0 without one
  double normalised = 0;   // correctness + preference, shifted and scaled as its source's rewards ask for
  double overlong = 0;     // DAPO's soft length penalty, <= 0
  double advantage = 0;    // relative to its group
  bool correct = false;
};

enum class DType { kF32 = 0, kBF16 = 1, kF16 = 2, kI64 = 3 };

// One tensor inside a blob of weights.
struct TensorSpec {
  std::string name;  // Hugging Face name
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // byte range in the blob
  uint64_t end = 0;
  uint32_t crc32 = 0;  // of those bytes (zlib's CRC-32)
};

// A version of the weights: a number that only grows, and where each tensor lies in the blob.
struct WeightManifest {
  int64_t version = 0;
  std::vector<TensorSpec> tensors;  // ordered by `begin`, not overlapping
  uint64_t total_bytes = 0;
};

// "correct", "wrong", "unparsable", "timeout", "error".
const char* OutcomeName(Verdict::Outcome outcome);
const char* StopReasonName(StopReason reason);  // "eos", "length", "stop", "cancelled"
// Bytes of one element.
int64_t DTypeSize(DType dtype);
const char* DTypeName(DType dtype);  // as safetensors spells it: "F32", "BF16", "F16", "I64"

}  // namespace ponder

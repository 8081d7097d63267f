// A language model that answers one message.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ponder::verifier {

// A seam; implementations are thread-safe.
class ChatModel {
 public:
  virtual ~ChatModel() = default;
  // What the model says, its thoughts perhaps among it. DeadlineExceeded: not in time.
  // DataLoss: cut at the token budget, or no answer in the reply. Unavailable: everything else.
  virtual absl::StatusOr<std::string> Ask(const std::string& system, const std::string& user,
                                          absl::Time deadline) const = 0;
};

// How likely a language model is to end its answer with YES rather than with NO. A seam;
// implementations are thread-safe.
class RulingModel {
 public:
  virtual ~RulingModel() = default;
  // P(YES) / (P(YES) + P(NO)) of the word that the model's answer ends with, behind its thoughts.
  // The same errors as ChatModel::Ask; DataLoss as well: neither is among the likeliest words, or
  // the reply has no log-probs.
  virtual absl::StatusOr<double> ProbabilityOfYes(const std::string& system,
                                                  const std::string& user,
                                                  absl::Time deadline) const = 0;
};

}  // namespace ponder::verifier

// SplitPattern: a regular expression of a tokenizer.json, which are written for Oniguruma, compiled
// by PCRE2 to machine code. Immutable; safe from many threads.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder::data {

class SplitPattern {
 public:
  // InvalidArgument: not a pattern, or one with a construct that the two engines read differently.
  static absl::StatusOr<std::shared_ptr<const SplitPattern>> Compile(absl::string_view regex);
  // Matches `text` itself.
  static absl::StatusOr<std::shared_ptr<const SplitPattern>> Literal(absl::string_view text);
  virtual ~SplitPattern() = default;

  using Range = std::pair<size_t, size_t>;  // begin, end
  // The non-overlapping matches in valid UTF-8, from left to right, empty ones left out.
  // ResourceExhausted: the pattern backtracks too much on this text.
  virtual absl::Status FindAll(absl::string_view text, std::vector<Range>* matches) const = 0;
};

}  // namespace ponder::data

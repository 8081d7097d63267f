// PromptOrder: which prompt a group is made of. A pure function of the seed, so that a resumed run
// goes on where it was.
//
//   group g -> the (g mod P)-th prompt of epoch g / P, each epoch in a shuffled order of its own
//           -> samples epoch * G ... epoch * G + G - 1 of that prompt
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/types.h"

namespace ponder::learner {

// A value that remembers the orders of the epochs asked for last; not thread-safe.
class PromptOrder {
 public:
  // `prompts` > 0, `group_size` > 0.
  PromptOrder(uint64_t seed, int64_t prompts, int64_t group_size)
      : seed_(seed), prompts_(prompts), group_size_(group_size) {}

  struct Place {
    int64_t prompt = 0;        // index into the prompt set
    int64_t first_sample = 0;  // sample_index of the group's first sample
  };
  Place Find(int64_t group_id);

 private:
  const std::vector<int64_t>& Epoch(int64_t epoch);

  uint64_t seed_;
  int64_t prompts_;
  int64_t group_size_;
  std::map<int64_t, std::vector<int64_t>>
      epochs_;  // at most two: a window of groups rarely spans more
};

// FNV-1a over the ids in order: tells prompt sets apart.
uint64_t HashPrompts(const std::vector<Prompt>& prompts);

}  // namespace ponder::learner

#include "learner/prompt_order.h"

#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/philox.h"

namespace ponder::learner {

PromptOrder::Place PromptOrder::Find(int64_t group_id) {
  const int64_t epoch = group_id / prompts_;
  return {Epoch(epoch)[static_cast<size_t>(group_id % prompts_)], epoch * group_size_};
}

const std::vector<int64_t>& PromptOrder::Epoch(int64_t epoch) {
  const auto known = epochs_.find(epoch);
  if (known != epochs_.end()) return known->second;
  if (epochs_.size() == 2) epochs_.erase(epochs_.begin());
  std::vector<int64_t> order(static_cast<size_t>(prompts_));
  std::iota(order.begin(), order.end(), int64_t{0});
  Rng rng(seed_, absl::StrCat("prompts.epoch.", epoch));
  for (int64_t i = prompts_ - 1; i > 0; --i) {
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(rng.NextInt(0, i))]);
  }
  return epochs_.emplace(epoch, std::move(order)).first->second;
}

uint64_t HashPrompts(const std::vector<Prompt>& prompts) {
  std::string ids;
  for (const Prompt& prompt : prompts) absl::StrAppend(&ids, prompt.id, "\n");
  return StableHash(ids);
}

}  // namespace ponder::learner

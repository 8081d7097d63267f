// Curriculum: online adaptation of the data distribution. It keeps, for every source and level of
// difficulty, how often the policy is right, and draws prompts from where there is something to
// learn.
//
//   estimate   p <- p + a_n (x - p) from p = 1/2, x a group's share of correct answers, n that
//              source's and level's groups so far, a_n = max(1 / (n + 1), rate): stochastic
//              approximation that goes on to follow a policy that moves (Robbins and Monro, 1951),
//              and that expects something of what was never tried
//   signal     (1 - p) (1 - p^G - (1 - p)^G): the room that is left, times the chance that a group
//              of G (at least 2) has right and wrong answers, without which its advantages are zero
//   levels     a source's first is open; another is while p > open_above at the one below it. So
//              they open and close as the policy goes up and down
//   draw       with probability floor a source evenly, and evenly one of its open levels; else a
//              source in proportion to the best signal among its open levels, and of these one in
//              proportion to its signal times its prompts: where nothing speaks against it, a
//              source's levels come as they lie in it, and no handful of prompts comes again and
//              again
//   prompt     the next of that source and level, in a shuffled order of its own; when all have
//              been drawn, in another
//
// It changes at Settle alone, and by groups in the order of their ids. So with max_staleness 0 what
// is drawn is a function of seed and verdicts, whatever the actors' speed, and a resumed run draws
// the same. Without `adapt` it only keeps the estimates, and prompts come in the order of
// PromptOrder. A machine without threads: its owner's lock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/types.h"
#include "learner/prompt_order.h"

namespace ponder::learner {

class Curriculum {
 public:
  struct Options {
    bool adapt = false;
    double floor = 0.2;        // share of draws that look at everything evenly
    double rate = 0.05;        // least a_n
    double open_above = 0.05;  // pass rate above which the next level is open
  };
  // `prompts` outlive it; not empty.
  Curriculum(const Options& options, uint64_t seed, absl::Span<const Prompt> prompts,
             int64_t group_size);

  // The prompt of a group. Groups are opened in the order of their ids, from `next` of the state
  // on.
  PromptOrder::Place Open(int64_t group_id);
  // A group is complete, `correct` of its samples right. One that is dropped for another reason
  // than its verdicts is never scored, nor is one whose verdicts know no right and wrong.
  void Score(int64_t group_id, int64_t correct);
  // The groups before `next_group_id` are done: their scores count.
  void Settle(int64_t next_group_id);

  // As of the last Settle, for a checkpoint. JSON.
  std::string State() const;
  // Before the first Open. DataLoss: not a state of these prompts.
  absl::Status Restore(const std::string& state);

  // A value: one source and level.
  struct Domain {
    std::string source;
    int32_t level = 0;
    int64_t groups = 0;      // scored in all
    double pass_rate = 0.5;  // estimate
    double share = 0;        // probability of being drawn now; 0 without `adapt`
  };
  // All of them, by source, then by level.
  std::vector<Domain> domains() const;

 private:
  struct Cell {
    std::vector<int64_t> prompts;  // indices
    size_t source = 0;
    int32_t level = 0;
    int64_t drawn = 0;  // prompts drawn by groups that were opened
    int64_t groups = 0;
    double pass_rate = 0.5;
  };
  struct Source {
    std::string name;
    std::vector<size_t> cells;  // by level
  };
  struct Flight {
    size_t cell = 0;
    std::optional<double> pass_rate;
  };

  double Signal(const Cell& cell) const;
  size_t OpenLevels(const Source& source) const;  // the first so many of its cells
  std::vector<double> Shares() const;             // by cell
  const Options options_;
  const uint64_t seed_;
  const int64_t group_size_;
  PromptOrder epochs_;
  std::vector<Cell> cells_;
  std::vector<Source> sources_;
  std::vector<size_t> cell_of_;        // by prompt
  std::map<int64_t, Flight> flights_;  // groups opened and not yet settled
  std::vector<PromptOrder> orders_;    // by cell
};

}  // namespace ponder::learner

// Four questions about graphs: a Hamiltonian path, a colouring, a shortest path, a topological
// order.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/random.h"
#include "data/puzzle/weighted_graph.h"

namespace ponder::data::puzzle {
namespace {

constexpr int kColours = 3;

std::string List(const std::vector<int>& edges, const char* arrow,
                 const std::vector<int>& weights) {
  std::string list;
  for (size_t i = 0; i < edges.size(); i += 2) {
    absl::StrAppend(&list, edges[i], arrow, edges[i + 1]);
    if (!weights.empty()) absl::StrAppend(&list, ": ", weights[i / 2]);
    absl::StrAppend(&list, "\n");
  }
  return list;
}

bool Has(const std::vector<int>& edges, int a, int b) {
  for (size_t i = 0; i < edges.size(); i += 2) {
    if ((edges[i] == a && edges[i + 1] == b) || (edges[i] == b && edges[i + 1] == a)) return true;
  }
  return false;
}

}  // namespace

// The answer is planted: nodes 1 to n in a random order, or with random colours.
Puzzle MakeGraph(Rng& rng, int level) {
  const int n = Scale(level, 5, 18);
  const absl::string_view task = kGraphTasks[Draw(rng, 0, 3)];
  const bool hamiltonian = task == kHamiltonianPath, colouring = task == kColouring,
             shortest = task == kShortestPath;
  std::vector<int> order = Permutation(n, rng), edges, weights, colours;
  for (int& node : order) ++node;
  for (int node = 0; node < n; ++node) colours.push_back(Draw(rng, 1, kColours));
  if (hamiltonian || shortest) {
    for (int i = 0; i + 1 < n; ++i) edges.insert(edges.end(), {order[i], order[i + 1]});
  }
  const int wanted = hamiltonian ? n * 2 : colouring ? n * 2 : n * 5 / 2;
  for (int tries = 0; static_cast<int>(edges.size()) / 2 < wanted && tries < 20 * n; ++tries) {
    int i = Draw(rng, 0, n - 1), j = Draw(rng, 0, n - 1);
    if (i > j) std::swap(i, j);
    const int a = order[i], b = order[j];
    if (a == b || Has(edges, a, b) || (colouring && colours[a - 1] == colours[b - 1])) continue;
    edges.insert(edges.end(), {a, b});
  }
  // In an order that gives nothing away.
  std::vector<int> shuffled;
  const bool directed = !hamiltonian && !colouring && !shortest;
  for (const int edge : Permutation(static_cast<int>(edges.size()) / 2, rng)) {
    const bool turned = !directed && Chance(rng, 50);
    shuffled.push_back(edges[2 * edge + turned]);
    shuffled.push_back(edges[2 * edge + 1 - turned]);
    if (shortest) weights.push_back(Draw(rng, 1, 20));
  }
  Puzzle puzzle;
  puzzle.instance.Set("task", std::string(task));
  puzzle.instance.Set("n", n);
  puzzle.instance.Set("edges", shuffled);
  const std::string graph =
      absl::StrCat("A ", directed ? "directed " : "", "graph has the nodes 1 to ", n, " and these ",
                   shortest ? "edges, with their lengths" : "edges", ":\n\n",
                   List(shuffled, directed ? " -> " : " - ", weights), "\n");
  if (hamiltonian) {
    puzzle.question = absl::StrCat(graph,
                                   "Find a path along edges that visits every node exactly once. "
                                   "Answer with the nodes in order, separated by spaces.");
    puzzle.solution = absl::StrJoin(order, " ");
  } else if (colouring) {
    puzzle.instance.Set("colours", kColours);
    puzzle.question = absl::StrCat(
        graph, "Give every node one of the colours 1 to ", kColours,
        " so that no edge joins two nodes of the same colour. Answer with the colours of the nodes "
        "1 to ",
        n, " in this order, separated by spaces.");
    puzzle.solution = absl::StrJoin(colours, " ");
  } else if (shortest) {
    const int from = order[0], to = order[n - 1];
    puzzle.instance.Set("weights", weights);
    puzzle.instance.Set("from", from);
    puzzle.instance.Set("to", to);
    puzzle.question =
        absl::StrCat(graph, "Find a shortest path from ", from, " to ", to,
                     ". Answer with its nodes in order, ends included, separated by spaces.");
    puzzle.solution = absl::StrJoin(ShortestPath({n, shuffled, weights}, from, to), " ");
  } else {
    puzzle.question = absl::StrCat(graph,
                                   "Put the nodes in an order in which every edge leads from an "
                                   "earlier node to a later one. Answer with all nodes in order, "
                                   "separated by spaces.");
    puzzle.solution = absl::StrJoin(order, " ");
  }
  return puzzle;
}

}  // namespace ponder::data::puzzle

// Hamiltonian paths, colourings, shortest paths, topological orders.
#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "data/puzzle/weighted_graph.h"
#include "verifier/puzzle/answer_reader.h"
#include "verifier/puzzle/checkers.h"
#include "verifier/puzzle/grid_rules.h"

namespace ponder::verifier::puzzle {
namespace {

using data::puzzle::WeightedGraph;

std::string ColouringFault(const WeightedGraph& graph, const std::vector<int>& colours, int most) {
  if (static_cast<int>(colours.size()) != graph.n)
    return absl::StrCat(graph.n, " nodes need a colour each");
  for (const int colour : colours) {
    if (colour < 1 || colour > most) return absl::StrCat("there is no colour ", colour);
  }
  for (size_t i = 0; i < graph.edges.size(); i += 2) {
    const int a = graph.edges[i], b = graph.edges[i + 1];
    if (colours[a - 1] == colours[b - 1]) return absl::StrCat(a, " and ", b, " are joined");
  }
  return "";
}

std::string OrderFault(const WeightedGraph& graph, const std::vector<int>& nodes, bool path) {
  if (static_cast<int>(nodes.size()) != graph.n) return "not every node once";
  const std::string fault = OnceFault(nodes);
  if (!fault.empty()) return fault;
  if (path)
    return data::puzzle::WalkLength(graph, nodes) >= 0 ? "" : "a step doesn't follow an edge";
  std::vector<int> place(graph.n + 1);
  for (int i = 0; i < graph.n; ++i) place[nodes[i]] = i;
  for (size_t i = 0; i < graph.edges.size(); i += 2) {
    const int a = graph.edges[i], b = graph.edges[i + 1];
    if (place[a] > place[b]) return absl::StrCat(a, " must come before ", b);
  }
  return "";
}

std::string ShortestFault(const WeightedGraph& graph, const std::vector<int>& nodes, int from,
                          int to) {
  if (nodes.empty() || nodes.front() != from || nodes.back() != to) return "the ends are wrong";
  const int length = data::puzzle::WalkLength(graph, nodes);
  if (length < 0) return "a step doesn't follow an edge";
  const int least = data::puzzle::WalkLength(graph, data::puzzle::ShortestPath(graph, from, to));
  return length == least ? "" : absl::StrCat("length ", length, ", where ", least, " is possible");
}

}  // namespace

Finding CheckGraph(InstanceReader& in, absl::string_view answer) {
  const std::string task = in.Text("task");
  const bool shortest = task == data::puzzle::kShortestPath;
  WeightedGraph graph;
  graph.n = in.Int("n", 1, 64);
  graph.edges = in.Ints("edges", 0, 1024, 1, graph.n);
  if (graph.edges.size() % 2 != 0) in.Fail("'edges' must be pairs of nodes");
  const size_t edges = graph.edges.size() / 2;
  graph.weights = shortest ? in.Ints("weights", edges, 0, 10'000) : std::vector<int>(edges, 1);
  const int from = shortest ? in.Int("from", 1, graph.n) : 1;
  const int to = shortest ? in.Int("to", 1, graph.n) : 1;
  const bool colouring = task == data::puzzle::kColouring;
  const int colours = colouring ? in.Int("colours", 1, 64) : 1;
  if (std::find(std::begin(data::puzzle::kGraphTasks), std::end(data::puzzle::kGraphTasks), task) ==
      std::end(data::puzzle::kGraphTasks))
    in.Fail("no such task");
  if (!in.ok()) return BadInstance(in);
  const std::optional<std::vector<int>> nodes = ReadNumbers(answer);
  if (!nodes) return Unreadable("numbers separated by spaces");
  std::string fault;
  if (colouring) {
    fault = ColouringFault(graph, *nodes, colours);
  } else if (shortest) {
    fault = ShortestFault(graph, *nodes, from, to);
  } else {
    fault = OrderFault(graph, *nodes, task == data::puzzle::kHamiltonianPath);
  }
  return fault.empty() ? Correct() : Wrong(fault);
}

}  // namespace ponder::verifier::puzzle

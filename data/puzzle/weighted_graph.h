// Graphs with lengths, and the questions that the graph puzzles ask.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::data::puzzle {

constexpr absl::string_view kHamiltonianPath = "hamiltonian_path";
constexpr absl::string_view kColouring = "colouring";
constexpr absl::string_view kShortestPath = "shortest_path";
constexpr absl::string_view kTopologicalOrder = "topological_order";
constexpr absl::string_view kGraphTasks[] = {kHamiltonianPath, kColouring, kShortestPath,
                                             kTopologicalOrder};

// A value: nodes 1 to n; edge i joins nodes[2i] and nodes[2i + 1].
struct WeightedGraph {
  int n = 0;
  std::vector<int> edges;
  std::vector<int> weights;  // of each edge, >= 0
};

// A shortest path, ends included (Bellman and Ford); empty if there is none.
std::vector<int> ShortestPath(const WeightedGraph& graph, int from, int to);

// The length of a walk along edges, the shortest of parallel ones; -1: it leaves them.
int WalkLength(const WeightedGraph& graph, const std::vector<int>& nodes);

}  // namespace ponder::data::puzzle

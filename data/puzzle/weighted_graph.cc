#include "data/puzzle/weighted_graph.h"

#include <algorithm>
#include <limits>

namespace ponder::data::puzzle {

std::vector<int> ShortestPath(const WeightedGraph& graph, int from, int to) {
  constexpr int kFar = std::numeric_limits<int>::max();
  std::vector<int> distance(graph.n + 1, kFar), before(graph.n + 1, 0);
  distance[from] = 0;
  const auto relax = [&](int a, int b, int weight) {
    if (distance[a] == kFar || distance[a] + weight >= distance[b]) return false;
    distance[b] = distance[a] + weight;
    before[b] = a;
    return true;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < graph.weights.size(); ++i) {
      const int a = graph.edges[2 * i], b = graph.edges[2 * i + 1];
      changed |= relax(a, b, graph.weights[i]);
      changed |= relax(b, a, graph.weights[i]);
    }
  }
  if (distance[to] == kFar) return {};
  std::vector<int> path = {to};
  while (path.back() != from) path.push_back(before[path.back()]);
  std::reverse(path.begin(), path.end());
  return path;
}

int WalkLength(const WeightedGraph& graph, const std::vector<int>& nodes) {
  int length = 0;
  for (size_t step = 1; step < nodes.size(); ++step) {
    int best = -1;
    for (size_t i = 0; i < graph.weights.size(); ++i) {
      const int a = graph.edges[2 * i], b = graph.edges[2 * i + 1];
      const bool joins =
          (a == nodes[step - 1] && b == nodes[step]) || (b == nodes[step - 1] && a == nodes[step]);
      if (joins && (best < 0 || graph.weights[i] < best)) best = graph.weights[i];
    }
    if (best < 0) return -1;
    length += best;
  }
  return length;
}

}  // namespace ponder::data::puzzle

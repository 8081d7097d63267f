// Shortest ways through a maze drawn with '#', '.', 'S' and 'G'.
#pragma once

#include <string>
#include <vector>

namespace ponder::data::puzzle {

// The steps, as letters of "UDLR", by breadth-first search. "" if there is no way. All rows have
// the same length.
std::string ShortestPath(const std::vector<std::string>& rows);

}  // namespace ponder::data::puzzle

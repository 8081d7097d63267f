// Common English words for puzzles about text: lower-case letters, each once.
#pragma once

#include <string>
#include <vector>

#include "base/philox.h"

namespace ponder::data::puzzle {

// `count` different words in random order; at most 128.
std::vector<std::string> RandomWords(int count, Rng& rng);

}  // namespace ponder::data::puzzle

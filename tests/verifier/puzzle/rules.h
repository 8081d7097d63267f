// A second, slow reading of the puzzles' rules, written from docs/puzzles.md alone.
#pragma once

#include <string>

namespace ponder::verifier {

// Whether `answer` solves the instance (JSON). Only for answers in the form that the question asks
// for, and for families that HasRules names.
bool Solves(const std::string& family, const std::string& instance, const std::string& answer);
bool HasRules(const std::string& family);

}  // namespace ponder::verifier

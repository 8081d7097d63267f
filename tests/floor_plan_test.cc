// The floor plan of ARCHITECTURE.md as a test: a folder includes itself and the floors below that the map allows, no other.
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace floor_plan_test {

using Folders = std::set<std::string>;

const std::map<std::string, Folders>& FloorPlan() {
  static const auto* plan = new std::map<std::string, Folders>{
      {"base", {}},
      {"proto", {"base"}},
      {"comm", {"base"}},
      {"data", {"base"}},
      {"reward", {"base"}},
      {"verifier", {"base", "proto", "data"}},
      {"moe", {"base", "comm", "data"}},
      {"actor", {"base", "proto", "comm", "data", "moe"}},
      {"learner", {"base", "proto", "comm", "data", "moe", "reward"}},
      {"deploy", {"base", "proto", "comm", "data", "reward", "verifier", "moe", "actor", "learner"}},
  };
  return *plan;
}

// Every include in `source` that `folder` may not have.
Folders Climbs(const std::string& folder, std::istream& source) {
  static const std::regex include(R"(^\s*#\s*include\s*["<]([a-z_]+)/)");
  Folders climbs;
  std::string line;
  while (std::getline(source, line)) {
    std::smatch match;
    if (!std::regex_search(line, match, include)) continue;
    const std::string target = match[1];
    if (FloorPlan().count(target) && target != folder && !FloorPlan().at(folder).count(target)) {
      climbs.insert(target);
    }
  }
  return climbs;
}

TEST(FloorPlan, NoIncludeClimbs) {
  int files = 0;
  for (const auto& [folder, allowed] : FloorPlan()) {
    const auto root = std::filesystem::path(PONDER_SOURCE_DIR) / folder;
    ASSERT_TRUE(std::filesystem::is_directory(root)) << root;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cc" && extension != ".cu") continue;
      ++files;
      std::ifstream source(entry.path());
      const Folders climbs = Climbs(folder, source);
      EXPECT_TRUE(climbs.empty()) << entry.path() << " includes " << *climbs.begin() << "/, which "
                                  << folder << "/ may not";
    }
  }
  EXPECT_GT(files, 20);
}

TEST(FloorPlan, SeesAClimb) {
  std::istringstream source("#include <vector>\n#include \"base/types.h\"\n #  include \"learner/train_loop.h\"\n");
  EXPECT_EQ(Climbs("actor", source), Folders{"learner"});
}

}  // namespace floor_plan_test

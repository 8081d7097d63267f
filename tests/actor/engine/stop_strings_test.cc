// Any split of a text into pieces shows the same as looking at the whole.
#include "actor/engine/stop_strings.h"

#include "absl/strings/str_cat.h"
#include "base/philox.h"
#include "gtest/gtest.h"

namespace ponder::actor {
namespace stop_strings_test {

TEST(StopStrings, ShowWhatComesBeforeTheFirstWhateverThePieces) {
  Rng rng(3, "stop_strings");
  int stopped = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int64_t i = rng.NextInt(0, 30); i > 0; --i)
      text.push_back(static_cast<char>('a' + rng.NextInt(0, 2)));
    std::vector<std::string> stops;
    for (int64_t n = rng.NextInt(0, 2); n >= 0; --n) {
      stops.emplace_back();
      for (int64_t i = rng.NextInt(1, 5); i > 0; --i)
        stops.back().push_back(static_cast<char>('a' + rng.NextInt(0, 2)));
    }
    StopStrings filter(stops);
    std::string shown;
    size_t read = 0;
    while (read < text.size() && !filter.stopped()) {
      const size_t piece = static_cast<size_t>(rng.NextInt(1, 3));
      shown += filter.Push(absl::string_view(text).substr(read, piece));
      read += piece;
      // Nothing is held back that cannot become a stop string.
      ASSERT_TRUE(filter.stopped() || shown.size() + 4 >= std::min(read, text.size()));
    }
    read = std::min(read, text.size());
    size_t begin = std::string::npos;
    for (const std::string& stop : stops) begin = std::min(begin, text.substr(0, read).find(stop));
    ASSERT_EQ(filter.stopped(), begin != std::string::npos) << text;
    stopped += filter.stopped();
    if (!filter.stopped()) shown += filter.Rest();
    EXPECT_EQ(filter.Rest(), "");
    ASSERT_EQ(shown, text.substr(0, begin)) << text;
    EXPECT_EQ(filter.Push("later") == "", filter.stopped());
  }
  EXPECT_GT(stopped, 500);
}

TEST(StopStrings, HoldBackOnlyWhatMayBeginAStopString) {
  StopStrings filter({"STOP"});
  EXPECT_EQ(filter.Push("say S"), "say ");
  EXPECT_EQ(filter.Push("T"), "");
  EXPECT_EQ(filter.Push("xSTO"), "STx");
  EXPECT_EQ(filter.Push("Pmore"), "");
  EXPECT_TRUE(filter.stopped());
}

}  // namespace stop_strings_test
}  // namespace ponder::actor

#include "data/puzzle/words.h"

#include "base/check.h"
#include "data/puzzle/random.h"

namespace ponder::data::puzzle {
namespace {

constexpr int kCount = 128;
constexpr const char* kWords[kCount] = {
    "apple",   "arrow",  "basket",  "bottle", "branch", "breeze",   "bridge",   "bucket",
    "butter",  "button", "candle",  "canyon", "carpet", "castle",   "cattle",   "cherry",
    "circle",  "cloud",  "coffee",  "copper", "corner", "cotton",   "cradle",   "crystal",
    "dancer",  "desert", "dinner",  "dragon", "eagle",  "engine",   "falcon",   "farmer",
    "feather", "fence",  "finger",  "flower", "forest", "fountain", "friend",   "garden",
    "ginger",  "glass",  "grape",   "guitar", "hammer", "harbor",   "hazel",    "helmet",
    "honey",   "island", "ivory",   "jacket", "jungle", "kettle",   "kitchen",  "ladder",
    "lantern", "lemon",  "letter",  "lion",   "lizard", "magnet",   "maple",    "marble",
    "market",  "meadow", "melon",   "mirror", "monkey", "morning",  "mountain", "needle",
    "nickel",  "night",  "ocean",   "olive",  "onion",  "orange",   "orchard",  "otter",
    "painter", "paper",  "pebble",  "pencil", "pepper", "pillow",   "pirate",   "planet",
    "pocket",  "potato", "prairie", "quartz", "quiet",  "rabbit",   "radio",    "raven",
    "ribbon",  "river",  "rocket",  "saddle", "salmon", "school",   "season",   "shadow",
    "silver",  "spider", "spring",  "square", "stone",  "summer",   "sunset",   "table",
    "tailor",  "temple", "thunder", "ticket", "tiger",  "timber",   "tower",    "tunnel",
    "turtle",  "valley", "velvet",  "violin", "wagon",  "walnut",   "whistle",  "window",
};

}  // namespace

std::vector<std::string> RandomWords(int count, Rng& rng) {
  PONDER_CHECK(count <= kCount, count, " words are asked for");
  std::vector<std::string> words;
  for (const int i : Permutation(kCount, rng)) {
    if (static_cast<int>(words.size()) == count) break;
    words.push_back(kWords[i]);
  }
  return words;
}

}  // namespace ponder::data::puzzle

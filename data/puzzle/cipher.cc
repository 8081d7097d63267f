// Texts to decrypt, with the cipher and its key given.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/puzzle/decrypt.h"
#include "data/puzzle/generators.h"
#include "data/puzzle/random.h"
#include "data/puzzle/words.h"

namespace ponder::data::puzzle {

Puzzle MakeCipher(Rng& rng, int level) {
  // What level 1 draws from first; the next ones come with the levels.
  constexpr absl::string_view kCiphers[] = {kCaesar, kRailFence, kVigenere, kSubstitution};
  const std::string cipher(kCiphers[Draw(rng, level >= 6 ? 1 : 0, Scale(level, 0, 3))]);
  const std::vector<std::string> words = RandomWords(Scale(level, 2, 10), rng);
  const std::string plain = absl::StrJoin(words, cipher == kRailFence ? "" : " ");
  std::string key, how;
  if (cipher == kCaesar) {
    key = absl::StrCat(Draw(rng, 1, 25));
    how = absl::StrCat("every letter was replaced by the one ", key,
                       " places further in the alphabet, going on with a after z");
  } else if (cipher == kRailFence) {
    key = absl::StrCat(Draw(rng, 2, Scale(level, 2, 5)));
    how =
        absl::StrCat("its letters, without spaces, were written in a zigzag down and up over ", key,
                     " rails, and the rails were then read one after the other from the top");
  } else if (cipher == kVigenere) {
    key = RandomWords(1, rng)[0];
    how = absl::StrCat(
        "each letter was moved forward in the alphabet (z is followed by a) by the "
        "letter of the key '",
        key,
        "' that stands under it, where a moves by 0, b by 1 and so on; the key is "
        "repeated, and spaces don't use up its letters");
  } else {
    for (const int letter : Permutation(26, rng)) key.push_back(static_cast<char>('a' + letter));
    how = absl::StrCat("the letters abcdefghijklmnopqrstuvwxyz were replaced by ", key,
                       ", in this order");
  }
  Puzzle puzzle;
  puzzle.instance.Set("cipher", cipher);
  puzzle.instance.Set("key", key);
  puzzle.instance.Set("text", Encrypt(cipher, key, plain));
  puzzle.question =
      absl::StrCat("A text was encrypted: ", how, ". The result:\n\n", Encrypt(cipher, key, plain),
                   "\n\nAnswer with the text before it was encrypted.");
  puzzle.solution = plain;
  return puzzle;
}

}  // namespace ponder::data::puzzle

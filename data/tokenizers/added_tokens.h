// AddedTokens: tokens that are found in text as they stand, before it is normalised or split: BOS,
// chat markers, think tags. A value; safe from many threads.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace ponder::data {

struct AddedToken {
  int32_t id = 0;
  std::string content;       // as it stands in text; not empty
  bool single_word = false;  // only where no word goes on before or after it
  bool lstrip = false;       // swallows white space before it
  bool rstrip = false;       // swallows white space after it
  bool normalized = false;   // looked for in normalised text
  bool special = false;      // left out when decoding without special tokens
};

class AddedTokens {
 public:
  // The next one wins over an earlier one with the same content.
  void Add(AddedToken token);

  struct Segment {
    absl::string_view text;
    int32_t token = -1;  // -1: ordinary text
  };
  // Cuts valid UTF-8 at the tokens in it, from the left, the longest first.
  std::vector<Segment> Cut(absl::string_view text) const;

 private:
  // The longest token at `position`, or null.
  const AddedToken* LongestAt(absl::string_view text, size_t position) const;

  absl::flat_hash_map<std::string, AddedToken> tokens_;
  std::vector<size_t> lengths_;  // of the contents; from the longest
  std::bitset<256> first_bytes_;
};

}  // namespace ponder::data

// The ciphers of the cipher puzzles, on lower-case letters; everything else stays as it is.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace ponder::data::puzzle {

constexpr absl::string_view kCaesar = "caesar";              // key: "3"
constexpr absl::string_view kRailFence = "rail_fence";       // key: rails, "3"
constexpr absl::string_view kVigenere = "vigenere";          // key: a word
constexpr absl::string_view kSubstitution = "substitution";  // key: what a to z become

// Whether `key` suits `cipher`, which is one of the above.
bool IsKey(absl::string_view cipher, absl::string_view key);

std::string Encrypt(absl::string_view cipher, absl::string_view key, absl::string_view text);
std::string Decrypt(absl::string_view cipher, absl::string_view key, absl::string_view text);

}  // namespace ponder::data::puzzle

#include "data/puzzle/decrypt.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "base/check.h"

namespace ponder::data::puzzle {
namespace {

int Number(absl::string_view key) {
  int number = 0;
  return absl::SimpleAtoi(key, &number) ? number : 0;
}

bool IsLower(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_islower(c); });
}

// Where each letter of the text goes when it is read along the rails.
std::vector<size_t> RailOrder(size_t length, size_t rails) {
  std::vector<size_t> order;
  for (size_t rail = 0; rail < rails; ++rail) {
    for (size_t i = 0; i < length; ++i) {
      const size_t phase = i % (2 * rails - 2);
      if (std::min(phase, 2 * rails - 2 - phase) == rail) order.push_back(i);
    }
  }
  return order;
}

std::string Shifted(absl::string_view cipher, absl::string_view key, absl::string_view text,
                    int direction) {
  std::string out(text);
  size_t at = 0;
  for (char& c : out) {
    if (!absl::ascii_islower(c)) continue;
    const int shift = cipher == kCaesar ? Number(key) : key[at++ % key.size()] - 'a';
    c = static_cast<char>('a' + (c - 'a' + direction * shift + 26) % 26);
  }
  return out;
}

std::string Crypt(absl::string_view cipher, absl::string_view key, absl::string_view text,
                  bool encrypt) {
  PONDER_CHECK(IsKey(cipher, key), "no key of ", cipher, ": ", key);
  if (cipher == kCaesar || cipher == kVigenere) return Shifted(cipher, key, text, encrypt ? 1 : -1);
  std::string out(text);
  if (cipher == kRailFence) {
    const std::vector<size_t> order = RailOrder(text.size(), Number(key));
    for (size_t i = 0; i < text.size(); ++i) {
      if (encrypt) out[i] = text[order[i]];
      if (!encrypt) out[order[i]] = text[i];
    }
    return out;
  }
  for (char& c : out) {
    if (!absl::ascii_islower(c)) continue;
    c = encrypt ? key[c - 'a'] : static_cast<char>('a' + key.find(c));
  }
  return out;
}

}  // namespace

bool IsKey(absl::string_view cipher, absl::string_view key) {
  if (cipher == kCaesar) return Number(key) >= 1 && Number(key) <= 25;
  if (cipher == kRailFence) return Number(key) >= 2 && Number(key) <= 16;
  if (cipher == kVigenere) return !key.empty() && IsLower(key);
  if (cipher != kSubstitution || key.size() != 26 || !IsLower(key)) return false;
  std::string sorted(key);
  std::sort(sorted.begin(), sorted.end());
  return std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
}

std::string Encrypt(absl::string_view cipher, absl::string_view key, absl::string_view text) {
  return Crypt(cipher, key, text, true);
}

std::string Decrypt(absl::string_view cipher, absl::string_view key, absl::string_view text) {
  return Crypt(cipher, key, text, false);
}

}  // namespace ponder::data::puzzle

#include "verifier/code/output_compare.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"

namespace ponder::verifier {
namespace {

constexpr absl::string_view kSpace = " \t\n\v\f\r";

// Takes the next token off `text`; empty at its end.
absl::string_view TakeToken(absl::string_view* text) {
  text->remove_prefix(std::min(text->find_first_not_of(kSpace), text->size()));
  const size_t size = std::min(text->find_first_of(kSpace), text->size());
  const absl::string_view token = text->substr(0, size);
  text->remove_prefix(size);
  return token;
}

bool IsNumber(absl::string_view token, double* value) {
  return token.find_first_not_of("0123456789+-.eE") == token.npos &&
         absl::SimpleAtod(token, value) && std::isfinite(*value);
}

bool Near(absl::string_view actual, absl::string_view expected, double tolerance) {
  double a = 0, e = 0;
  if (tolerance <= 0 || !IsNumber(actual, &a) || !IsNumber(expected, &e)) return false;
  return std::abs(a - e) <= tolerance * std::max(1.0, std::abs(e));
}

}  // namespace

bool OutputMatches(absl::string_view actual, absl::string_view expected, double tolerance) {
  if (actual.find('\0') != actual.npos) return false;
  while (true) {
    const absl::string_view a = TakeToken(&actual);
    const absl::string_view e = TakeToken(&expected);
    if (a != e && !Near(a, e, tolerance)) return false;
    if (a.empty()) return true;
  }
}

}  // namespace ponder::verifier

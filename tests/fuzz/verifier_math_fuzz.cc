// Any bytes as gold and response: no crash, no hang, and nothing is paid that doesn't say
// something.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "verifier/math/math_grader.h"

// The first zero byte, or the middle, separates gold and response.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t zero = bytes.find('\0');
  const size_t cut = zero == absl::string_view::npos ? size / 2 : zero;
  const absl::string_view gold = bytes.substr(0, cut), response = bytes.substr(cut);
  const ponder::verifier::MathGrader grader;
  const ponder::Verdict verdict = grader.Grade({gold, response}, absl::InfiniteFuture());
  const bool correct = verdict.outcome == ponder::Verdict::Outcome::kCorrect;
  if (correct && verdict.extracted.empty()) std::abort();
  return 0;
}

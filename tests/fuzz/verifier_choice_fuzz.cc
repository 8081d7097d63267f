// Any bytes as gold and response of a choice: no crash, no hang, and nothing is paid that doesn't
// say something.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "verifier/choice/choice_grader.h"

// The first zero byte, or the middle, separates gold and response.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t zero = bytes.find('\0');
  const size_t cut = zero == absl::string_view::npos ? size / 2 : zero;
  const ponder::verifier::ChoiceGrader grader;
  const auto verdict =
      grader.Grade({bytes.substr(0, cut), bytes.substr(cut)}, absl::InfiniteFuture());
  if (verdict.outcome == ponder::Verdict::Outcome::kCorrect && verdict.extracted.empty())
    std::abort();
  return 0;
}

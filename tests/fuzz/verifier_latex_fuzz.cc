// Any bytes as mathematics: a tree or a failure, the same one each time; and whatever is read can
// be compared with itself within its budget.
#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "verifier/math/budget.h"
#include "verifier/math/equivalence.h"
#include "verifier/math/flint_thread.h"
#include "verifier/math/parser.h"

namespace math = ponder::verifier::math;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  math::FreeFlintCachesAtThreadEnd();
  math::Arena arena;
  const math::ParseResult parsed = math::ParseMath(text, &arena);
  PONDER_CHECK((parsed.tree == nullptr) == (parsed.failure != math::ParseFailure::kNone));
  math::Arena other;
  const math::ParseResult again = math::ParseMath(text, &other);
  PONDER_CHECK(again.failure == parsed.failure);
  if (parsed.tree == nullptr) return 0;
  math::Budget budget;
  math::Equivalence(&arena, &budget).Same(*parsed.tree, *parsed.tree);
  return 0;
}

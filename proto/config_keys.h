// The keys of the config schema, as dotted paths such as "learner.optimizer.lr".
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ponder {

// Every key in the order of the schema, sections before what they hold.
const std::vector<std::string>& ConfigKeys();

// Whichever of `candidates` is fewest typing errors away from `word` (a letter missing, added,
// wrong, or two swapped), if it is near enough to be meant; else "".
std::string NearestWord(absl::string_view word, absl::Span<const std::string> candidates);

// The key that was probably meant by `key`: of the same name in another section, else near in
// spelling within its section, else near in spelling anywhere; "" if nothing is near.
std::string NearestConfigKey(absl::string_view key);

}  // namespace ponder

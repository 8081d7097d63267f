// Known answers, judged before a service takes its first call.
#pragma once

#include "absl/status/status.h"
#include "verifier/graders.h"

namespace ponder::verifier {

// Judges a few known answers, right and wrong ones, of every shipped kind in `graders`. Internal
// names the first that is judged otherwise. Kinds that need a judge model aren't asked.
absl::Status SelfTest(const Graders& graders);

}  // namespace ponder::verifier

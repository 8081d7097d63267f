// What LaTeX commands mean to the lexer.
#pragma once

#include "absl/strings/string_view.h"

namespace ponder::verifier::math {

// Sizes, spaces and fonts: they say nothing.
bool IsIgnoredCommand(absl::string_view name);
// Commands that go with the group that follows them: \phantom{x}.
bool IsDroppedWithArgument(absl::string_view name);
// Commands whose argument is words: \text, \mathrm.
bool IsTextCommand(absl::string_view name);
// The link of a relation, as in TokenType::kRelation; 0 for other commands.
char RelationNamed(absl::string_view name);
// The one name that Ponder uses for commands of the same meaning; `name` itself if it has no other.
// May be a single character of punctuation.
absl::string_view SynonymOf(absl::string_view name);

}  // namespace ponder::verifier::math

// The recipes that rl.algorithm names: what each sets among the keys of rl.
#pragma once

#include "proto/config.pb.h"

namespace ponder {

// Sets the keys that make up the recipe of rl->algorithm() and are not set yet. Nothing for a name
// that is not in the table (the config check refuses it).
void ApplyRecipe(v1::RlConfig* rl);
// Unsets all keys that ApplyRecipe sets.
void ClearRecipe(v1::RlConfig* rl);

}  // namespace ponder

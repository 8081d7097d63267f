// Opens the model that a command's --model names.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "moe/checkpoint.h"

namespace ponder::deploy {

// moe::LoadModel, and the model must speak the byte tokenizer. The message says what to give
// instead.
absl::StatusOr<moe::Model> OpenModel(const std::string& folder);

}  // namespace ponder::deploy

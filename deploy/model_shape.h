// From a run's config to the config of the model that it starts from.
#pragma once

#include "moe/model_config.h"
#include "proto/config.pb.h"

namespace ponder::deploy {

// Vocabulary and end-of-sequence are those of the byte tokenizer. Validate() says whether the
// values fit together.
moe::ModelConfig ModelConfigOf(const v1::ModelShape& shape);

}  // namespace ponder::deploy

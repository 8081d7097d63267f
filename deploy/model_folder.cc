#include "deploy/model_folder.h"

#include "absl/strings/str_cat.h"
#include "data/tokenizer.h"

namespace ponder::deploy {

absl::StatusOr<moe::Model> OpenModel(const std::string& folder) {
  auto model = moe::LoadModel(folder);
  if (absl::IsNotFound(model.status())) {
    return absl::NotFoundError(
        absl::StrCat(model.status().message(),
                     "; --model takes a folder that `ponder init` or `ponder run` wrote"));
  }
  if (!model.ok()) return model;
  constexpr int64_t kVocabSize = data::ByteTokenizer::kVocabSize;
  if (model->config.vocab_size != kVocabSize ||
      model->config.eos_token_id != data::ByteTokenizer::kEos) {
    return absl::FailedPreconditionError(absl::StrCat(
        folder, " has vocab_size ", model->config.vocab_size, " and eos_token_id ",
        model->config.eos_token_id, ", but the byte tokenizer has ", kVocabSize, " and ",
        data::ByteTokenizer::kEos, "; use a model that `ponder init` or `ponder run` wrote"));
  }
  return model;
}

}  // namespace ponder::deploy

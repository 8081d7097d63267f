#include "deploy/model_folder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/tokenizer.h"

namespace ponder::deploy {

absl::StatusOr<OpenedModel> OpenModel(const std::string& folder,
                                      const data::ModelTextOptions& options) {
  auto model = moe::LoadModel(folder);
  if (absl::IsNotFound(model.status())) {
    return absl::NotFoundError(absl::StrCat(
        model.status().message(),
        "; --model takes a folder with config.json and safetensors, such as the Hugging Face hub "
        "has, or `ponder init` and `ponder run` write"));
  }
  if (!model.ok()) return model.status();
  OpenedModel opened;
  opened.model = *std::move(model);
  PONDER_ASSIGN_OR_RETURN(opened.text, OpenText(folder, opened.model.config, options));
  return opened;
}

absl::StatusOr<std::shared_ptr<const data::ModelText>> OpenText(
    const std::string& folder, const moe::ModelConfig& config,
    const data::ModelTextOptions& options) {
  PONDER_ASSIGN_OR_RETURN(auto text, data::LoadModelText(folder, options));
  if (text == data::ByteText() && (config.vocab_size != text->vocab_size() ||
                                   config.eos_token_id != data::ByteTokenizer::kEos)) {
    return absl::FailedPreconditionError(absl::StrCat(
        folder, " has neither tokenizer.json nor tokenizer.model, and with vocab_size ",
        config.vocab_size, " and eos_token_id ", config.eos_token_id, " it is no model of bytes (",
        text->vocab_size(), " and ", data::ByteTokenizer::kEos,
        "); put the model's tokenizer.json there"));
  }
  if (text->vocab_size() > config.vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, "/tokenizer.json: the largest id is ", text->vocab_size() - 1,
                     ", but vocab_size in config.json is ", config.vocab_size));
  }
  for (const int32_t eos : text->eos_tokens()) {
    if (eos < config.vocab_size) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(folder, "/generation_config.json: eos_token_id is ", eos,
                     ", but vocab_size in config.json is ", config.vocab_size));
  }
  return text;
}

data::ModelTextOptions TextOptions(const v1::DataConfig& config) {
  data::ModelTextOptions options;
  options.chat_template = config.chat_template();
  options.think_open = config.think_open();
  options.think_close = config.think_close();
  return options;
}

absl::StatusOr<moe::FolderFiles> TextFiles(const std::string& folder,
                                           const data::ModelTextOptions& options) {
  PONDER_ASSIGN_OR_RETURN(auto files, data::ModelTextFiles(folder, options));
  moe::FolderFiles text_files;
  for (auto& [name, bytes] : files) text_files[name] = std::move(bytes);
  return text_files;
}

absl::StatusOr<moe::Carried> CarriedFrom(const std::string& folder, const moe::ModelConfig& config,
                                         const data::ModelTextOptions& options) {
  PONDER_ASSIGN_OR_RETURN(moe::FolderFiles files, TextFiles(folder, options));
  return moe::CarriedFrom(folder, config, std::move(files));
}

}  // namespace ponder::deploy

// The folders that --model, base_model and the like name: a model, and the text that it speaks.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "data/model_text.h"
#include "moe/checkpoint.h"
#include "moe/model_files.h"
#include "proto/config.pb.h"

namespace ponder::deploy {

struct OpenedModel {
  moe::Model model;
  std::shared_ptr<const data::ModelText> text;
};

// moe::LoadModel and OpenText. The message says what to give instead.
absl::StatusOr<OpenedModel> OpenModel(const std::string& folder,
                                      const data::ModelTextOptions& options = {});

// The text of the model in `folder`, whose config is `config`. InvalidArgument: the tokenizer has
// ids that the model has not. FailedPrecondition: there is no tokenizer, and the model does not
// speak bytes.
absl::StatusOr<std::shared_ptr<const data::ModelText>> OpenText(
    const std::string& folder, const moe::ModelConfig& config,
    const data::ModelTextOptions& options);

data::ModelTextOptions TextOptions(const v1::DataConfig& config);

// What every checkpoint that comes of the model in `folder` takes along.
absl::StatusOr<moe::Carried> CarriedFrom(const std::string& folder, const moe::ModelConfig& config,
                                         const data::ModelTextOptions& options);
// The part of it that are files.
absl::StatusOr<moe::FolderFiles> TextFiles(const std::string& folder,
                                           const data::ModelTextOptions& options);

}  // namespace ponder::deploy

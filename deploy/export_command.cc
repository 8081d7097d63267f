// `ponder export`: a model for other programs to run.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/tokenizer.h"
#include "deploy/commands.h"
#include "deploy/gguf_vocabulary.h"
#include "deploy/model_folder.h"
#include "moe/gguf.h"
#include "moe/narrow_weights.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {
namespace {

struct ExportOptions {
  std::string model;
  std::string format;
  std::string out;
  double max_shard_gb = moe::kMaxShardBytes / 1e9;
  std::string dtype;  // empty: as stored (hf), f32 (gguf)
};

moe::GgufVocabulary ByteVocabulary() {
  using Kind = moe::GgufVocabulary::Kind;
  moe::GgufVocabulary vocabulary;
  vocabulary.pre = "qwen2";
  // llama.cpp wants merges to be there; this one makes a token that does not exist, so it is never
  // applied.
  vocabulary.merges = {"a b"};
  vocabulary.eos_token = data::ByteTokenizer::kEos;
  for (int32_t id = 0; id < data::ByteTokenizer::kVocabSize; ++id) {
    if (id < 256) {
      vocabulary.texts.push_back(moe::GgufByteText(static_cast<uint8_t>(id)));
      vocabulary.kinds.push_back(Kind::kNormal);
      continue;
    }
    std::string name = data::ByteTokenizer::Decode({id}, /*keep_special=*/true);
    const bool unused = name.empty();
    // What the model thinks is text for its reader; turns and ends are not.
    const bool shown = id == data::ByteTokenizer::kThink || id == data::ByteTokenizer::kEndThink;
    vocabulary.texts.push_back(unused ? absl::StrCat("<unused", id, ">") : std::move(name));
    vocabulary.kinds.push_back(unused  ? Kind::kUnused
                               : shown ? Kind::kUserDefined
                                       : Kind::kControl);
  }
  return vocabulary;
}

// transformers reads the type from "dtype" or, in older files, "torch_dtype".
std::string ConfigWithType(const std::string& config_json, DType dtype) {
  auto config = nlohmann::ordered_json::parse(config_json);
  const char* name = dtype == DType::kF32   ? "float32"
                     : dtype == DType::kF16 ? "float16"
                                            : "bfloat16";
  const bool modern = config.contains("dtype");
  if (modern) config["dtype"] = name;
  if (!modern || config.contains("torch_dtype")) config["torch_dtype"] = name;
  return config.dump(2) + "\n";
}

absl::Status WriteHuggingFace(const ExportOptions& options, const moe::Model& model) {
  const auto shard = static_cast<uint64_t>(options.max_shard_gb * 1e9);
  PONDER_ASSIGN_OR_RETURN(moe::FolderFiles text, TextFiles(options.model, {}));
  if (options.dtype.empty()) {
    PONDER_ASSIGN_OR_RETURN(const moe::FolderFiles files,
                            moe::StoredModelFiles(options.model, std::move(text), shard));
    return moe::WriteCheckedFolder(options.out, files);
  }
  PONDER_ASSIGN_OR_RETURN(const DType dtype, moe::ParseFloatType(options.dtype));
  PONDER_ASSIGN_OR_RETURN(auto weights, moe::AsFloat32(model.weights));
  PONDER_ASSIGN_OR_RETURN(weights, moe::Narrowed(std::move(weights), dtype));
  PONDER_ASSIGN_OR_RETURN(const moe::Carried carried,
                          moe::CarriedFrom(options.model, model.config, std::move(text)));
  moe::FolderFiles files = moe::ModelFiles({model.config, std::move(weights)}, carried, shard);
  std::string& config = files.at("config.json").text;
  config = ConfigWithType(config, dtype);
  return moe::WriteCheckedFolder(options.out, files);
}

absl::Status RunExport(const ExportOptions& options) {
  std::string dtype = options.dtype;
  if (options.format == "gguf") {
    if (dtype.empty()) dtype = "f32";
    PONDER_ASSIGN_OR_RETURN(OpenedModel opened, OpenModel(options.model));
    moe::Model& model = opened.model;
    moe::GgufVocabulary vocabulary = ByteVocabulary();
    if (opened.text != data::ByteText()) {
      auto own = GgufVocabularyOf(options.model, model.config);
      if (!own.ok()) return Annotate(own.status(), options.model);
      vocabulary = *std::move(own);
    }
    PONDER_ASSIGN_OR_RETURN(model.weights, moe::AsFloat32(std::move(model.weights)));
    PONDER_ASSIGN_OR_RETURN(const moe::GgufType type, moe::ParseGgufType(dtype));
    PONDER_RETURN_IF_ERROR(moe::WriteGguf(options.out, model, type, vocabulary));
  } else {
    PONDER_ASSIGN_OR_RETURN(const moe::Model model, moe::LoadModel(options.model));
    PONDER_RETURN_IF_ERROR(WriteHuggingFace(options, model));
    if (dtype.empty()) dtype = "as stored";
  }
  std::printf("%s: %s, %s\n", options.out.c_str(), options.format.c_str(), dtype.c_str());
  return absl::OkStatus();
}

}  // namespace

void AddExportCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command = app.add_subcommand("export", "write a model for other programs");
  command->add_option("--model", options->model, "folder of the model")->required();
  command
      ->add_option("--format", options->format,
                   "gguf: one file, for llama.cpp; hf: a folder, for Hugging Face transformers")
      ->check(CLI::IsMember({"gguf", "hf"}))
      ->required();
  command
      ->add_option("--out", options->out,
                   "file (gguf) or folder (hf); replaced when the new one is whole")
      ->required();
  command->add_option("--dtype", options->dtype,
                      "of the matrices: f32, f16, bf16, or q8_0 (gguf); without it, f32 (gguf) or "
                      "every tensor as it is stored (hf)");
  command->add_option("--max-shard-gb", options->max_shard_gb, "of each safetensors file (hf)")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->callback(
      [options, exit_code] { *exit_code = ReportStatus("export", RunExport(*options)); });
}

}  // namespace ponder::deploy

// `ponder export`: a model for other programs to run.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/tokenizer.h"
#include "deploy/commands.h"
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
  std::string dtype = "f32";
};

moe::GgufVocabulary ByteVocabulary() {
  using Kind = moe::GgufVocabulary::Kind;
  moe::GgufVocabulary vocabulary;
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

absl::Status WriteHuggingFace(const std::string& folder, const moe::Model& model, DType dtype) {
  PONDER_ASSIGN_OR_RETURN(auto narrowed, moe::Narrowed(model.weights, dtype));
  moe::FolderFiles files = moe::ModelFiles({model.config, std::move(narrowed)});
  auto config = nlohmann::ordered_json::parse(files.at("config.json"));
  config["torch_dtype"] = dtype == DType::kF32   ? "float32"
                          : dtype == DType::kF16 ? "float16"
                                                 : "bfloat16";
  files.at("config.json") = config.dump(2) + "\n";
  return moe::WriteCheckedFolder(folder, files);
}

absl::Status RunExport(const ExportOptions& options) {
  PONDER_ASSIGN_OR_RETURN(moe::Model model, OpenModel(options.model));
  PONDER_ASSIGN_OR_RETURN(model.weights, moe::AsFloat32(std::move(model.weights)));
  if (options.format == "gguf") {
    PONDER_ASSIGN_OR_RETURN(const moe::GgufType type, moe::ParseGgufType(options.dtype));
    PONDER_RETURN_IF_ERROR(moe::WriteGguf(options.out, model, type, ByteVocabulary()));
  } else {
    PONDER_ASSIGN_OR_RETURN(const DType dtype, moe::ParseFloatType(options.dtype));
    PONDER_RETURN_IF_ERROR(WriteHuggingFace(options.out, model, dtype));
  }
  std::printf("%s: %s, %s\n", options.out.c_str(), options.format.c_str(), options.dtype.c_str());
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
  command->add_option("--dtype", options->dtype, "of the matrices: f32, f16, bf16, or q8_0 (gguf)")
      ->capture_default_str();
  command->callback(
      [options, exit_code] { *exit_code = ReportStatus("export", RunExport(*options)); });
}

}  // namespace ponder::deploy

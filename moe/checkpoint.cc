#include "moe/checkpoint.h"

#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status.h"
#include "moe/checked_folder.h"
#include "moe/checkpoint_files.h"
#include "moe/families/family.h"
#include "moe/model_files.h"

namespace ponder::moe {
namespace {

constexpr char kScaleSuffix[] = "_scale_inv";  // DeepSeek's block scales of `name`

TensorBytes InFile(const CheckpointFiles& files, const CheckpointFiles::Tensor& tensor) {
  TensorBytes bytes;
  bytes.data = tensor.bytes;
  bytes.file = &files.file(tensor.file);
  bytes.path = files.path(tensor.file);
  bytes.name = tensor.spec.name;
  bytes.crc32 = tensor.crc32;
  return bytes;
}

// Finds the decoder's tensors in files, one after another.
class TensorFinder {
 public:
  TensorFinder(const ModelConfig& config, const CheckpointFiles& files)
      : config_(config), files_(files) {}

  // Sets the dtype of `spec`, which has the decoder's name.
  absl::StatusOr<TensorBytes> Find(TensorSpec* spec) {
    const std::string name = FileNameOf(config_, spec->name);
    const CheckpointFiles::Tensor* tensor = files_.Find(name);
    if (tensor == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(files_.folder(), "/", kWeightsFile, ": tensor ", name, " is missing"));
    }
    used_.insert(name);
    const std::string& path = files_.path(tensor->file);
    if (tensor->spec.shape != spec->shape) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": tensor ", name, " has shape [", absl::StrJoin(tensor->spec.shape, ", "),
          "], the config asks for [", absl::StrJoin(spec->shape, ", "), "]"));
    }
    TensorBytes bytes = InFile(files_, *tensor);
    const std::optional<DType> dtype = DTypeNamed(tensor->spec.dtype);
    if (dtype.has_value() && *dtype != DType::kI64) {
      spec->dtype = *dtype;
      return bytes;
    }
    if (tensor->spec.dtype == "F8_E4M3") {
      PONDER_RETURN_IF_ERROR(Annotate(FindScales(name, spec->shape, &bytes), path));
      return bytes;
    }
    return absl::InvalidArgumentError(absl::StrCat(path, ": tensor ", name, " is of dtype ",
                                                   tensor->spec.dtype,
                                                   ", not F32, BF16, F16 or F8_E4M3"));
  }

  // Every tensor of the files must have been asked for, unless it can't matter.
  absl::Status CheckOthers() const {
    for (const CheckpointFiles::Tensor& tensor : files_.tensors()) {
      const std::string& name = tensor.spec.name;
      if (used_.count(name) > 0 || MayIgnore(config_, name)) continue;
      return absl::InvalidArgumentError(absl::StrCat(files_.path(tensor.file), ": tensor ", name,
                                                     " is not part of the config's model"));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status FindScales(const std::string& name, const std::vector<int64_t>& shape,
                          TensorBytes* bytes) {
    const CheckpointFiles::Tensor* scales = files_.Find(name + kScaleSuffix);
    if (scales == nullptr || shape.size() != 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", name, " is F8_E4M3, but there is no ", name, kScaleSuffix));
    }
    bytes->block_rows = config_.fp8_block_rows;
    bytes->block_columns = config_.fp8_block_columns;
    const std::vector<int64_t> expected = {
        (shape[0] + bytes->block_rows - 1) / bytes->block_rows,
        (shape[1] + bytes->block_columns - 1) / bytes->block_columns};
    if (scales->spec.dtype != "F32" || scales->spec.shape != expected) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", scales->spec.name, " is ", scales->spec.dtype, " [",
                       absl::StrJoin(scales->spec.shape, ", "), "], expected F32 [",
                       absl::StrJoin(expected, ", "), "]"));
    }
    used_.insert(scales->spec.name);
    bytes->scales = scales->bytes;
    bytes->scales_crc32 = scales->crc32;
    return absl::OkStatus();
  }

  const ModelConfig& config_;
  const CheckpointFiles& files_;
  std::unordered_set<std::string> used_;
};

}  // namespace

absl::Status SaveModel(const std::string& folder, const Model& model) {
  return WriteCheckedFolder(folder, ModelFiles(model));
}

absl::StatusOr<Model> LoadModel(const std::string& folder) {
  PONDER_ASSIGN_OR_RETURN(const FolderChecksums checksums, FolderChecksums::Read(folder));
  Model model;
  PONDER_ASSIGN_OR_RETURN(const std::string config, checksums.ReadFile(kConfigFile));
  PONDER_ASSIGN_OR_RETURN(model.config,
                          ModelConfig::FromJson(config, absl::StrCat(folder, "/", kConfigFile)));
  // Tensors are checked when they are read. The rest of the folder, such as a tokenizer, is its
  // owner's to read, but damage is told here and now.
  for (const auto& [name, crc] : checksums.crc32()) {
    if (name != kConfigFile && checksums.crc32_of_parts(name).empty())
      PONDER_RETURN_IF_ERROR(checksums.CheckFile(name));
  }
  PONDER_ASSIGN_OR_RETURN(const auto files, CheckpointFiles::Open(folder));
  WeightManifest manifest = model.config.Layout();
  std::vector<TensorBytes> places;
  TensorFinder finder(model.config, *files);
  for (TensorSpec& spec : manifest.tensors) {
    PONDER_ASSIGN_OR_RETURN(TensorBytes place, finder.Find(&spec));
    places.push_back(place);
  }
  PONDER_RETURN_IF_ERROR(finder.CheckOthers());
  PONDER_ASSIGN_OR_RETURN(model.weights,
                          Weights::InPlace(std::move(manifest), std::move(places), files));
  return model;
}

absl::StatusOr<std::shared_ptr<const Weights>> OpenTensors(const std::string& folder,
                                                           const std::string& name) {
  PONDER_ASSIGN_OR_RETURN(const auto files, CheckpointFiles::OpenFile(folder, name));
  WeightManifest manifest;
  std::vector<TensorBytes> places;
  for (const CheckpointFiles::Tensor& tensor : files->tensors()) {
    TensorSpec spec;
    spec.name = tensor.spec.name;
    spec.shape = tensor.spec.shape;
    const std::optional<DType> dtype = DTypeNamed(tensor.spec.dtype);
    if (!dtype.has_value()) {
      return absl::DataLossError(absl::StrCat(files->path(0), ": tensor ", spec.name, " has dtype ",
                                              tensor.spec.dtype, ", not F32, BF16, F16 or I64"));
    }
    spec.dtype = *dtype;
    manifest.tensors.push_back(std::move(spec));
    places.push_back(InFile(*files, tensor));
  }
  return Weights::InPlace(std::move(manifest), std::move(places), files);
}

}  // namespace ponder::moe

// See tensor_file.h.
#include "learner/tensor_file.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/status.h"
#include "moe/checkpoint.h"
#include "moe/model_files.h"
#include "moe/weights.h"

namespace ponder::learner {

moe::FolderFile TensorFile(const std::vector<NamedTensor>& tensors) {
  WeightManifest manifest;
  auto blob = std::make_shared<std::vector<uint8_t>>();
  for (const NamedTensor& tensor : tensors) {
    TensorSpec spec;
    spec.name = tensor.name;
    spec.shape = tensor.values.sizes().vec();
    spec.begin = blob->size();
    const auto* bytes = reinterpret_cast<const uint8_t*>(tensor.values.data_ptr<float>());
    blob->insert(blob->end(), bytes, bytes + tensor.values.numel() * sizeof(float));
    spec.end = blob->size();
    manifest.tensors.push_back(std::move(spec));
  }
  manifest.total_bytes = blob->size();
  moe::ComputeChecksums(*blob, &manifest);
  const auto weights = moe::Weights::Make(std::move(manifest), std::move(blob));
  PONDER_CHECK(weights.ok(), weights.status().ToString());
  return moe::TensorsFile(*weights);
}

absl::Status ReadTensorFile(const std::string& folder, const std::string& name,
                            const std::vector<NamedTensor>& tensors) {
  PONDER_ASSIGN_OR_RETURN(const auto file, moe::OpenTensors(folder, name));
  const std::string path = absl::StrCat(folder, "/", name);
  if (file->manifest().tensors.size() != tensors.size()) {
    return absl::DataLossError(absl::StrCat(path, ": has ", file->manifest().tensors.size(),
                                            " tensors, ", tensors.size(),
                                            " are expected; give the options of its training"));
  }
  for (const NamedTensor& tensor : tensors) {
    const absl::Status status = file->CopyF32(
        tensor.name, absl::MakeSpan(tensor.values.data_ptr<float>(), tensor.values.numel()));
    if (absl::IsDataLoss(status)) return status;  // names the file
    if (!status.ok()) return absl::DataLossError(absl::StrCat(path, ": ", status.message()));
  }
  return absl::OkStatus();
}

}  // namespace ponder::learner

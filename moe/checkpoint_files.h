// CheckpointFiles: the safetensors files of a checkpoint folder, mapped: model.safetensors, or the
// shards that model.safetensors.index.json lists. Where the folder has checksums, headers are
// checked when they are opened and tensors by whoever reads them: a rank reads no more than its
// own. A machine; immutable, thread-safe, shared by whoever reads its tensors.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "moe/checked_folder.h"
#include "moe/mapped_file.h"
#include "moe/safetensors.h"

namespace ponder::moe {

constexpr char kConfigFile[] = "config.json";
constexpr char kWeightsFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";

class CheckpointFiles {
 public:
  struct Tensor {
    SafetensorsTensor spec;  // the name as in the file
    absl::Span<const uint8_t> bytes;
    size_t file = 0;                // in names()
    std::optional<uint32_t> crc32;  // of the bytes, where the folder has it
  };

  // NotFound: a file is missing. DataLoss: a header or the index does not hold. The message names
  // the file and the tensor.
  static absl::StatusOr<std::shared_ptr<const CheckpointFiles>> Open(const std::string& folder);
  // One safetensors file, of another name.
  static absl::StatusOr<std::shared_ptr<const CheckpointFiles>> OpenFile(const std::string& folder,
                                                                         const std::string& name);

  // In the order of the files and of their bytes.
  const std::vector<Tensor>& tensors() const { return tensors_; }
  const Tensor* Find(const std::string& name) const;  // null if there is none
  // DataLoss: the tensor is not what was written.
  absl::Status Check(const Tensor& tensor) const;
  // Names without folder.
  const std::vector<std::string>& names() const { return names_; }
  // Of the i-th of names().
  const MappedFile& file(size_t i) const { return *files_[i]; }
  const std::string& folder() const { return folder_; }
  // Of the i-th of names(), with the folder.
  const std::string& path(size_t i) const { return paths_[i]; }

 private:
  CheckpointFiles(std::string folder, FolderChecksums checksums)
      : folder_(std::move(folder)), checksums_(std::move(checksums)) {}
  absl::Status Add(const std::string& name);
  // Tensor -> file of the index.
  absl::Status CheckIndex(const std::map<std::string, std::string>& index) const;

  const std::string folder_;
  const FolderChecksums checksums_;
  std::vector<std::string> names_;
  std::vector<std::string> paths_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::vector<Tensor> tensors_;
  std::unordered_map<std::string, size_t> place_;  // in tensors_
};

}  // namespace ponder::moe

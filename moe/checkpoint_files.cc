#include "moe/checkpoint_files.h"

#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::moe {
namespace {

using Json = nlohmann::ordered_json;

// Four times the index of DeepSeek-V3.
constexpr size_t kMaxIndexBytes = 40 << 20;

absl::StatusOr<std::map<std::string, std::string>> ReadIndex(const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  const absl::string_view text = file->bytes();
  const auto bad = [&](absl::string_view what) {
    return absl::DataLossError(absl::StrCat(path, ": ", what));
  };
  if (text.size() > kMaxIndexBytes) return bad(absl::StrCat(text.size(), " bytes are too many"));
  const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    return bad("it is not a JSON object with a weight_map");
  }
  std::map<std::string, std::string> index;
  for (const auto& [tensor, name] : json["weight_map"].items()) {
    if (!name.is_string())
      return bad(absl::StrCat("tensor ", absl::CHexEscape(tensor), " has no file name"));
    index[tensor] = name.get<std::string>();
    if (index[tensor].empty() || index[tensor].find('/') != std::string::npos) {
      return bad(absl::StrCat("tensor ", absl::CHexEscape(tensor), " is in ", name.dump(),
                              ", not a file beside it"));
    }
  }
  if (index.empty()) return bad("weight_map is empty");
  return index;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const CheckpointFiles>> CheckpointFiles::Open(
    const std::string& folder) {
  PONDER_ASSIGN_OR_RETURN(FolderChecksums checksums, FolderChecksums::Read(folder));
  std::shared_ptr<CheckpointFiles> files(new CheckpointFiles(folder, std::move(checksums)));
  std::error_code ignored;
  const std::string index_path = absl::StrCat(folder, "/", kIndexFile);
  if (std::filesystem::exists(absl::StrCat(folder, "/", kWeightsFile), ignored) ||
      !std::filesystem::exists(index_path, ignored)) {
    PONDER_RETURN_IF_ERROR(files->Add(kWeightsFile));
    return files;
  }
  PONDER_ASSIGN_OR_RETURN(const auto index, ReadIndex(index_path));
  std::set<std::string> names;
  for (const auto& [tensor, name] : index) names.insert(name);
  for (const std::string& name : names) PONDER_RETURN_IF_ERROR(files->Add(name));
  PONDER_RETURN_IF_ERROR(Annotate(files->CheckIndex(index), index_path));
  return files;
}

absl::StatusOr<std::shared_ptr<const CheckpointFiles>> CheckpointFiles::OpenFile(
    const std::string& folder, const std::string& name) {
  PONDER_ASSIGN_OR_RETURN(FolderChecksums checksums, FolderChecksums::Read(folder));
  std::shared_ptr<CheckpointFiles> files(new CheckpointFiles(folder, std::move(checksums)));
  PONDER_RETURN_IF_ERROR(files->Add(name));
  return files;
}

absl::Status CheckpointFiles::Add(const std::string& name) {
  const std::string path = absl::StrCat(folder_, "/", name);
  PONDER_ASSIGN_OR_RETURN(auto file, MappedFile::Open(path));
  const absl::string_view bytes = file->bytes();
  PONDER_RETURN_IF_ERROR(checksums_.CheckListed(name));
  const absl::Span<const uint32_t> parts = checksums_.crc32_of_parts(name);
  if (parts.empty()) PONDER_RETURN_IF_ERROR(checksums_.CheckFile(name));
  auto header = ParseSafetensorsHeader(bytes);
  if (!header.ok()) return Annotate(header.status(), path);
  if (!parts.empty()) {
    PONDER_RETURN_IF_ERROR(FolderChecksums::CheckBytes(
        bytes.substr(0, header->data_begin), parts[0], absl::StrCat("the header of ", path)));
    if (parts.size() != header->tensors.size() + 1) {
      return absl::DataLossError(
          absl::StrCat(path, " has ", header->tensors.size(), " tensors, but ", kChecksumsFile,
                       " lists ", parts.size() - 1, "; restore the folder from a copy"));
    }
  }
  for (size_t i = 0; i < header->tensors.size(); ++i) {
    SafetensorsTensor& spec = header->tensors[i];
    if (!place_.emplace(spec.name, tensors_.size()).second) {
      return absl::DataLossError(
          absl::StrCat(path, ": tensor ", spec.name, " is in another file too"));
    }
    const auto* data = reinterpret_cast<const uint8_t*>(bytes.data()) + header->data_begin;
    Tensor tensor;
    tensor.bytes = {data + spec.begin, static_cast<size_t>(spec.end - spec.begin)};
    tensor.file = names_.size();
    if (!parts.empty()) tensor.crc32 = parts[i + 1];
    tensor.spec = std::move(spec);
    tensors_.push_back(std::move(tensor));
  }
  names_.push_back(name);
  paths_.push_back(path);
  files_.push_back(std::move(file));
  return absl::OkStatus();
}

absl::Status CheckpointFiles::CheckIndex(const std::map<std::string, std::string>& index) const {
  for (const auto& [name, file] : index) {
    const Tensor* tensor = Find(name);
    if (tensor == nullptr || names_[tensor->file] != file) {
      return absl::DataLossError(
          absl::StrCat("tensor ", absl::CHexEscape(name), " is not in ", absl::CHexEscape(file)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckpointFiles::Check(const Tensor& tensor) const {
  if (!tensor.crc32.has_value()) return absl::OkStatus();
  const auto* data = reinterpret_cast<const char*>(tensor.bytes.data());
  return FolderChecksums::CheckBytes(
      {data, tensor.bytes.size()}, *tensor.crc32,
      absl::StrCat(paths_[tensor.file], ": tensor ", tensor.spec.name));
}

const CheckpointFiles::Tensor* CheckpointFiles::Find(const std::string& name) const {
  const auto found = place_.find(name);
  return found == place_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace ponder::moe

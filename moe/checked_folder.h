// A folder of files that is either whole or absent, and that notices one flipped byte. The ground
// under checkpoints.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ponder::moe {

constexpr char kChecksumsFile[] = "checksums.json";

// What a file is to hold: `text`, then the bytes that `parts` point to, kept by `owners`. With
// parts it is a safetensors file: the header, then one part for each tensor. A value.
struct FolderFile {
  FolderFile() = default;
  FolderFile(std::string t) : text(std::move(t)) {}  // NOLINT: most files are text

  std::string text;
  std::vector<absl::Span<const uint8_t>> parts;
  std::vector<std::shared_ptr<const void>> owners;
};
// By name. Names have no slash.
using FolderFiles = std::map<std::string, FolderFile>;

// Writes the files and checksums.json (the CRC-32 of each, and of the parts of each) into
// `folder`.partial, syncs, then swaps it into place: a crash leaves the old folder or the new one.
// An older folder is replaced only if it was written by this function and nothing else has been put
// there since: FailedPrecondition otherwise. ResourceExhausted: the disk is full.
absl::Status WriteCheckedFolder(const std::string& folder, const FolderFiles& files);

// Checks the bytes of files against the folder's checksums.json. A value.
class FolderChecksums {
 public:
  // Reads checksums.json; a folder without one (made by another program) checks nothing. DataLoss:
  // it is damaged.
  static absl::StatusOr<FolderChecksums> Read(const std::string& folder);
  // The file's bytes. NotFound, or DataLoss when they are not those that were written; both name
  // the path.
  absl::StatusOr<std::string> ReadFile(const std::string& name) const;
  // ReadFile without keeping the bytes.
  absl::Status CheckFile(const std::string& name) const;
  // DataLoss if there are checksums, but none of this file.
  absl::Status CheckListed(const std::string& name) const;
  // DataLoss if `bytes`, which `what` names, have another CRC-32 than `expected`.
  static absl::Status CheckBytes(absl::string_view bytes, uint32_t expected,
                                 absl::string_view what);
  static absl::Status Damaged(absl::string_view what, uint64_t bytes, uint32_t crc,
                              uint32_t expected);

  // By file. Empty when the folder has no checksums.json.
  const std::map<std::string, uint32_t>& crc32() const { return crc32_; }
  // Of the text of a file and of each part behind it; empty: it has none, or they were not written.
  absl::Span<const uint32_t> crc32_of_parts(const std::string& name) const;

 private:
  absl::Status Check(const std::string& name, absl::string_view bytes) const;
  friend absl::Status WriteCheckedFolder(const std::string& folder, const FolderFiles& files);
  explicit FolderChecksums(std::string folder) : folder_(std::move(folder)) {}
  // The one text that these checksums have: any other byte in checksums.json is damage.
  std::string Text() const;
  // Writes a file and takes down its checksums.
  absl::Status Write(const std::string& name, const FolderFile& file);

  std::string folder_;
  std::map<std::string, uint32_t> crc32_;
  std::map<std::string, std::vector<uint32_t>> crc32_of_parts_;
};

// A file of a folder that may have checksums, checked.
absl::StatusOr<std::string> ReadCheckedFile(const std::string& folder, const std::string& name);

}  // namespace ponder::moe

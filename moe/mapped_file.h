// MappedFile: a whole file, read-only, as memory that the system reads when it is touched. A
// machine; the file must not be cut while it is mapped.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder::moe {

class MappedFile {
 public:
  // NotFound, PermissionDenied, ... name the path.
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  absl::string_view bytes() const { return bytes_; }
  // Copies `bytes`, a part of the mapping, without touching it: for large parts that is faster, as
  // the first touch of each page costs the system more than copying it. Unavailable: the disk
  // fails.
  absl::Status Copy(absl::string_view bytes, char* out) const;

 private:
  MappedFile(absl::string_view bytes, std::string path, int fd)
      : bytes_(bytes), path_(std::move(path)), fd_(fd) {}
  const absl::string_view bytes_;
  const std::string path_;
  const int fd_;
};

}  // namespace ponder::moe

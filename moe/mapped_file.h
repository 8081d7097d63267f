// MappedFile: a whole file, read-only, as memory that the system reads when it is touched. A
// machine; the file must not be cut while it is mapped.
#pragma once

#include <memory>
#include <string>

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
  // `bytes` of a mapped file will not soon be read again: they leave this process, not the system's
  // cache.
  static void Forget(absl::string_view bytes);

 private:
  explicit MappedFile(absl::string_view bytes) : bytes_(bytes) {}
  absl::string_view bytes_;
};

}  // namespace ponder::moe

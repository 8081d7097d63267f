// Files that are either whole or absent: written beside their place, synced, then renamed into it.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder {

// zlib's CRC-32, to be continued with `crc` from the bytes before.
uint32_t Crc32(absl::string_view bytes, uint32_t crc = 0);
// Of bytes with `first` and `bytes` more behind them with `second`.
uint32_t CombineCrc32(uint32_t first, uint32_t second, uint64_t bytes);

// The whole file. NotFound, PermissionDenied or DataLoss name the path.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Replaces `path` by `bytes` in one step, after fsync: a crash leaves the old file or the new one.
// ResourceExhausted when the disk is full; nothing half-written stays behind.
absl::Status WriteFileAtomic(const std::string& path, absl::string_view bytes);

// WriteFileAtomic piece by piece, for what is too large to hold in memory at once. A machine; what
// has not been committed when it is destroyed leaves no trace.
class AtomicFileWriter {
 public:
  static absl::StatusOr<AtomicFileWriter> Open(const std::string& path);
  AtomicFileWriter(AtomicFileWriter&& other) noexcept;
  AtomicFileWriter& operator=(AtomicFileWriter&&) = delete;
  ~AtomicFileWriter();

  absl::Status Append(absl::string_view bytes);
  // Syncs the file and renames it into its place. Last call.
  absl::Status Commit();

 private:
  AtomicFileWriter(std::string path, std::string partial, int fd);
  std::string path_;
  std::string partial_;
  int fd_;  // -1: committed or moved from
};

// Makes the folder and its parents.
absl::Status MakeFolder(const std::string& path);

// errno as a Status: ENOENT -> NotFound, ENOSPC -> ResourceExhausted, EACCES/EROFS ->
// PermissionDenied.
absl::Status ErrnoStatus(int error_number, absl::string_view what);

}  // namespace ponder

#include "base/metrics.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

// Cuts the file after its last newline.
absl::Status CutTornLine(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0) return ErrnoStatus(errno, absl::StrCat("can't stat ", path));
  off_t end = info.st_size;
  char byte;
  while (end > 0 && pread(fd, &byte, 1, end - 1) == 1 && byte != '\n') --end;
  if (end != info.st_size && ftruncate(fd, end) != 0) {
    return ErrnoStatus(errno, absl::StrCat("can't cut the torn last line of ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsLog>> MetricsLog::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("can't open ", path));
  std::unique_ptr<MetricsLog> log(new MetricsLog(path, fd));
  PONDER_RETURN_IF_ERROR(CutTornLine(fd, path));
  return log;
}

MetricsLog::~MetricsLog() { close(fd_); }

absl::Status MetricsLog::Write(nlohmann::ordered_json record) {
  record["time"] = absl::ToUnixMicros(absl::Now()) * 1e-6;
  const std::string line =
      record.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  absl::MutexLock lock(&mutex_);
  const ssize_t written = write(fd_, line.data(), line.size());
  if (written < 0) return ErrnoStatus(errno, absl::StrCat("can't write ", path_));
  if (static_cast<size_t>(written) != line.size()) {
    // The next line must not be appended to half of this one.
    PONDER_RETURN_IF_ERROR(CutTornLine(fd_, path_));
    return absl::ResourceExhaustedError(absl::StrCat("can't write ", path_, ": the disk is full"));
  }
  return absl::OkStatus();
}

}  // namespace ponder

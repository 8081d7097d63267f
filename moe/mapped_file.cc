#include "moe/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"

namespace ponder::moe {

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("can't open ", path));
  absl::Cleanup closer = [fd] { close(fd); };
  struct stat info;
  if (fstat(fd, &info) != 0) return ErrnoStatus(errno, absl::StrCat("can't stat ", path));
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a file"));
  }
  const size_t size = static_cast<size_t>(info.st_size);
  absl::string_view bytes;
  if (size > 0) {
    void* memory = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return ErrnoStatus(errno, absl::StrCat("can't map ", path));
    bytes = absl::string_view(static_cast<const char*>(memory), size);
  }
  std::move(closer).Cancel();
  return std::shared_ptr<const MappedFile>(new MappedFile(bytes, path, fd));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
  close(fd_);
}

absl::Status MappedFile::Copy(absl::string_view bytes, char* out) const {
  off_t at = bytes.data() - bytes_.data();
  for (size_t left = bytes.size(); left > 0;) {
    const ssize_t n = pread(fd_, out, left, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("can't read ", path_));
    if (n == 0) return absl::DataLossError(absl::StrCat(path_, " was cut while it was read"));
    out += n;
    at += n;
    left -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

}  // namespace ponder::moe

#include "moe/checked_folder.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "base/status.h"
#include "moe/mapped_file.h"
#include "nlohmann/json.hpp"

namespace ponder::moe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string HexText(uint32_t crc32) { return absl::StrCat(absl::Hex(crc32, absl::kZeroPad8)); }

// 0 for what is not a number: the text of the whole list is compared too.
uint32_t FromHex(const Json& crc) {
  uint32_t value = 0;
  if (!crc.is_string() || !absl::SimpleHexAtoi(crc.get<std::string>(), &value)) return 0;
  return value;
}

absl::Status SyncFolder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("can't open folder ", folder));
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  // Some file systems cannot sync a folder; they order renames themselves.
  if (error != 0 && error != EINVAL)
    return ErrnoStatus(error, absl::StrCat("can't sync folder ", folder));
  return absl::OkStatus();
}

absl::Status RemoveFolder(const std::string& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("can't remove ", folder));
  return absl::OkStatus();
}

// OK if `folder` is absent, empty, or holds nothing but what its checksums.json lists.
absl::Status MayReplace(const std::string& folder) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(folder, error))) return absl::OkStatus();
  if (!fs::is_directory(folder, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, " exists and is not a folder; choose another"));
  }
  const auto checksums = FolderChecksums::Read(folder);
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (checksums.ok() && (name == kChecksumsFile || checksums->crc32().count(name) > 0)) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        folder, " holds ", name, ", which is not part of a checkpoint; choose another folder"));
  }
  if (error) return ErrnoStatus(error.value(), absl::StrCat("can't list ", folder));
  return absl::OkStatus();
}

// Puts `fresh` in the place of `folder`; afterwards what was there, if anything, is gone.
absl::Status SwapIn(const std::string& fresh, const std::string& folder) {
  if (rename(fresh.c_str(), folder.c_str()) == 0)
    return absl::OkStatus();  // absent or empty before
  if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) {
    return ErrnoStatus(errno, absl::StrCat("can't rename ", fresh, " to ", folder));
  }
  if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) {
    return RemoveFolder(fresh);
  }
  if (errno != EINVAL && errno != ENOSYS) {
    return ErrnoStatus(errno, absl::StrCat("can't exchange ", fresh, " with ", folder));
  }
  // A file system without exchange: between the two renames a crash leaves the old folder as
  // `folder`.old.
  const std::string old = absl::StrCat(folder, ".old");
  PONDER_RETURN_IF_ERROR(RemoveFolder(old));
  if (rename(folder.c_str(), old.c_str()) != 0 || rename(fresh.c_str(), folder.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("can't replace ", folder));
  }
  return RemoveFolder(old);
}

}  // namespace

absl::Status WriteCheckedFolder(const std::string& requested, const FolderFiles& files) {
  // Without a trailing slash, and with a parent.
  std::string folder = fs::absolute(requested).lexically_normal().string();
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  PONDER_RETURN_IF_ERROR(MayReplace(folder));
  const std::string fresh = absl::StrCat(folder, ".partial");
  absl::Status status = RemoveFolder(fresh);  // of a crash
  if (status.ok()) status = MakeFolder(fresh);
  FolderChecksums checksums(fresh);
  for (const auto& [name, file] : files)
    if (status.ok()) status = checksums.Write(name, file);
  if (status.ok()) {
    status = WriteFileAtomic(absl::StrCat(fresh, "/", kChecksumsFile), checksums.Text());
  }
  if (status.ok()) status = SwapIn(fresh, folder);
  if (status.ok()) status = SyncFolder(fs::path(folder).parent_path().string());
  if (!status.ok()) RemoveFolder(fresh).IgnoreError();  // the first error is the one to tell
  return Annotate(status, absl::StrCat("can't save ", requested));
}

std::string FolderChecksums::Text() const {
  Json lists;
  lists["crc32"] = Json::object();
  for (const auto& [name, crc] : crc32_) lists["crc32"][name] = HexText(crc);
  if (!crc32_of_parts_.empty()) lists["crc32_of_parts"] = Json::object();
  for (const auto& [name, parts] : crc32_of_parts_) {
    Json list = Json::array();
    for (const uint32_t crc : parts) list.push_back(HexText(crc));
    lists["crc32_of_parts"][name] = std::move(list);
  }
  // Without parts, what these lists had before there were any.
  const Json& all = crc32_of_parts_.empty() ? lists["crc32"] : lists;
  const std::string crc_of_lists = HexText(Crc32(all.dump()));
  lists["crc32_of_this_list"] = crc_of_lists;
  return lists.dump(2) + "\n";
}

absl::Status FolderChecksums::Write(const std::string& name, const FolderFile& file) {
  PONDER_CHECK(name.find('/') == std::string::npos && name != kChecksumsFile, "file name ", name);
  PONDER_ASSIGN_OR_RETURN(AtomicFileWriter writer,
                          AtomicFileWriter::Open(absl::StrCat(folder_, "/", name)));
  PONDER_RETURN_IF_ERROR(writer.Append(file.text));
  uint32_t crc = Crc32(file.text);
  std::vector<uint32_t> parts = {crc};
  for (const absl::Span<const uint8_t> part : file.parts) {
    const absl::string_view bytes(reinterpret_cast<const char*>(part.data()), part.size());
    PONDER_RETURN_IF_ERROR(writer.Append(bytes));
    parts.push_back(Crc32(bytes));
    crc = CombineCrc32(crc, parts.back(), bytes.size());
  }
  PONDER_RETURN_IF_ERROR(writer.Commit());
  crc32_[name] = crc;
  if (!file.parts.empty()) crc32_of_parts_[name] = std::move(parts);
  return absl::OkStatus();
}

absl::StatusOr<FolderChecksums> FolderChecksums::Read(const std::string& folder) {
  FolderChecksums checksums(folder);
  const std::string path = absl::StrCat(folder, "/", kChecksumsFile);
  const auto text = ponder::ReadFile(path);
  if (absl::IsNotFound(text.status())) return checksums;
  PONDER_RETURN_IF_ERROR(text.status());
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const Json files = json.is_object() ? json.value("crc32", Json()) : Json();
  const Json parts = json.is_object() ? json.value("crc32_of_parts", Json()) : Json();
  if (files.is_object()) {
    for (const auto& [name, crc] : files.items()) checksums.crc32_[name] = FromHex(crc);
  }
  if (parts.is_object()) {
    for (const auto& [name, list] : parts.items()) {
      std::vector<uint32_t>& crcs = checksums.crc32_of_parts_[name];
      for (const Json& crc : list) crcs.push_back(FromHex(crc));
    }
  }
  if (files.is_object() && checksums.Text() == *text) return checksums;
  return absl::DataLossError(absl::StrCat(path, " is damaged; restore the folder from a copy"));
}

absl::Status FolderChecksums::Damaged(absl::string_view what, uint64_t bytes, uint32_t crc,
                                      uint32_t expected) {
  return absl::DataLossError(absl::StrCat(what, " is damaged (", bytes, " bytes, CRC-32 ",
                                          HexText(crc), ", expected ", HexText(expected),
                                          "); restore the folder from a copy"));
}

absl::Status FolderChecksums::CheckBytes(absl::string_view bytes, uint32_t expected,
                                         absl::string_view what) {
  const uint32_t crc = Crc32(bytes);
  return crc == expected ? absl::OkStatus() : Damaged(what, bytes.size(), crc, expected);
}

absl::Status FolderChecksums::Check(const std::string& name, absl::string_view bytes) const {
  if (crc32_.empty()) return absl::OkStatus();
  PONDER_RETURN_IF_ERROR(CheckListed(name));
  return CheckBytes(bytes, crc32_.at(name), absl::StrCat(folder_, "/", name));
}

absl::StatusOr<std::string> FolderChecksums::ReadFile(const std::string& name) const {
  PONDER_ASSIGN_OR_RETURN(std::string bytes, ponder::ReadFile(absl::StrCat(folder_, "/", name)));
  PONDER_RETURN_IF_ERROR(Check(name, bytes));
  return bytes;
}

absl::Status FolderChecksums::CheckFile(const std::string& name) const {
  PONDER_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(absl::StrCat(folder_, "/", name)));
  return Check(name, file->bytes());
}

absl::Status FolderChecksums::CheckListed(const std::string& name) const {
  if (crc32_.empty() || crc32_.count(name) > 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(folder_, "/", name, " is not listed in ", kChecksumsFile,
                                          "; restore the folder from a copy"));
}

absl::Span<const uint32_t> FolderChecksums::crc32_of_parts(const std::string& name) const {
  const auto found = crc32_of_parts_.find(name);
  return found == crc32_of_parts_.end() ? absl::Span<const uint32_t>() : found->second;
}

absl::StatusOr<std::string> ReadCheckedFile(const std::string& folder, const std::string& name) {
  PONDER_ASSIGN_OR_RETURN(const FolderChecksums checksums, FolderChecksums::Read(folder));
  return checksums.ReadFile(name);
}

}  // namespace ponder::moe

#include "base/atomic_file.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/base/full_disk.h"

namespace ponder {
namespace atomic_file_test {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class AtomicFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "atomic_file_test";
    fs::remove_all(folder_);
    ASSERT_TRUE(MakeFolder(folder_).ok());
    path_ = folder_ + "/file";
  }
  size_t FilesInFolder() const {
    return std::distance(fs::directory_iterator(folder_), fs::directory_iterator());
  }

  std::string folder_, path_;
};

TEST_F(AtomicFile, ReadsBackWhatWasWritten) {
  for (const std::string& bytes :
       {std::string(), std::string("\0\n\xff", 3), std::string(300000, 'x')}) {
    ASSERT_TRUE(WriteFileAtomic(path_, bytes).ok());
    const auto read = ReadFile(path_);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, bytes);
    EXPECT_EQ(FilesInFolder(), 1u);
  }
}

TEST_F(AtomicFile, AFullDiskLeavesTheOldFileAndNothingElse) {
  ASSERT_TRUE(WriteFileAtomic(path_, "old").ok());
  {
    FullDisk full(1000);
    const absl::Status status = WriteFileAtomic(path_, std::string(5000, 'x'));
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  }
  EXPECT_EQ(*ReadFile(path_), "old");
  EXPECT_EQ(FilesInFolder(), 1u);
  EXPECT_TRUE(WriteFileAtomic(path_, "new").ok());
  EXPECT_EQ(*ReadFile(path_), "new");
}

TEST_F(AtomicFile, ErrorsNameThePath) {
  const auto missing = ReadFile(path_);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr(path_));
  const auto folder = ReadFile(folder_);
  EXPECT_EQ(folder.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(folder.status().message()), HasSubstr("is a folder"));
  const absl::Status nowhere = WriteFileAtomic(folder_ + "/no/file", "x");
  EXPECT_EQ(nowhere.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(nowhere.message()), HasSubstr(folder_ + "/no/file"));
  ASSERT_TRUE(WriteFileAtomic(path_, "x").ok());
  EXPECT_FALSE(MakeFolder(path_ + "/below").ok());
  // The target is a folder: the rename fails, and the partial file is gone.
  EXPECT_FALSE(WriteFileAtomic(folder_, "x").ok());
  EXPECT_FALSE(fs::exists(folder_ + ".partial." + std::to_string(getpid())));
}

TEST_F(AtomicFile, MakesFoldersWithTheirParents) {
  ASSERT_TRUE(MakeFolder(folder_ + "/a/b/c").ok());
  EXPECT_TRUE(fs::is_directory(folder_ + "/a/b/c"));
  EXPECT_TRUE(MakeFolder(folder_ + "/a/b/c").ok());
}

TEST(Crc32, CombinesParts) {
  std::string bytes(100'000, 'x');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * i >> 3);
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{63}, size_t{4096}, bytes.size()}) {
    const std::string tail = bytes.substr(cut);
    EXPECT_EQ(CombineCrc32(Crc32(bytes.substr(0, cut)), Crc32(tail), tail.size()), Crc32(bytes));
  }
}

TEST(Crc32, IsZlibs) {
  EXPECT_EQ(Crc32(""), 0u);
  EXPECT_EQ(Crc32("123456789"), 0xcbf43926u);  // the check value of CRC-32/ISO-HDLC
  EXPECT_EQ(Crc32("56789", Crc32("1234")), 0xcbf43926u);
}

TEST(ErrnoStatus, MapsWhatCallersActOn) {
  EXPECT_EQ(ErrnoStatus(ENOENT, "x").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrnoStatus(ENOSPC, "x").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrnoStatus(EDQUOT, "x").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrnoStatus(EACCES, "x").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ErrnoStatus(EROFS, "x").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ErrnoStatus(ENOSPC, "can't write y").message(),
            "can't write y: No space left on device; make room there and try again");
  EXPECT_EQ(ErrnoStatus(EIO, "can't read y").message(), "can't read y: Input/output error");
}

TEST_F(AtomicFile, WrittenPieceByPieceIsWholeOrAbsent) {
  ASSERT_TRUE(WriteFileAtomic(path_, "old").ok());
  {
    auto writer = AtomicFileWriter::Open(path_);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE(writer->Append("never").ok());
  }
  EXPECT_EQ(*ReadFile(path_), "old");
  EXPECT_EQ(FilesInFolder(), 1u) << "what was not committed leaves no trace";
  auto writer = AtomicFileWriter::Open(path_);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->Append("one ").ok());
  ASSERT_TRUE(writer->Append("two").ok());
  EXPECT_EQ(*ReadFile(path_), "old");
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_EQ(*ReadFile(path_), "one two");
  EXPECT_EQ(FilesInFolder(), 1u);
}

}  // namespace atomic_file_test
}  // namespace ponder

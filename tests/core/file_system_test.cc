#include "grace/core/file_system.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "temporary_folder.h"

namespace grace::core {
namespace {

class FileSystemTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  void write(const std::string& name, std::string_view text, OpenMode mode = OpenMode::kTruncate) {
    const auto file = files_->open(path(name), mode);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE((*file)->write(text));
    ASSERT_TRUE((*file)->sync());
  }
  std::string read(const std::string& name) {
    const auto file = files_->open(path(name), OpenMode::kRead);
    if (!file) return "cannot open";
    std::string out;
    char buffer[3];  // small, so that reads must go on
    for (;;) {
      const Result<IoCount> got = (*file)->read(buffer);
      if (!got || got->state == IoState::kEnd) return out;
      out.append(buffer, got->bytes);
    }
  }
  TemporaryFolder folder_;
  std::unique_ptr<FileSystem> files_ = make_system_file_system();
};

TEST_F(FileSystemTest, WritesAppendsEmptiesAndReadsBack) {
  write("a", "hello ");
  write("a", "world", OpenMode::kAppend);
  EXPECT_EQ(read("a"), "hello world");
  write("a", "new");
  EXPECT_EQ(read("a"), "new");
  EXPECT_EQ(files_->info(path("a"))->size_bytes, 3U);
}

TEST_F(FileSystemTest, ReadsAtAPlaceWithoutMovingTheOther) {
  write("a", "0123456789");
  const auto file = files_->open(path("a"), OpenMode::kRead);
  char two[2], twenty[20];
  EXPECT_EQ((*file)->read(two)->bytes, 2U);
  EXPECT_EQ((*file)->read_at(twenty, 7)->bytes, 3U) << "short at the end";
  EXPECT_EQ((*file)->read_at(twenty, 10)->state, IoState::kEnd);
  EXPECT_EQ((*file)->read(two)->bytes, 2U);
  EXPECT_EQ(std::string_view(two, 2), "23");
}

TEST_F(FileSystemTest, ErrorsNameThePathAndTheCause) {
  const auto missing = files_->open(path("missing"), OpenMode::kRead);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().os_error, ENOENT);
  EXPECT_NE(missing.error().message.find(path("missing")), std::string::npos);
  const auto folder = files_->open(folder_.path(), OpenMode::kTruncate);
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().os_error, EISDIR);
  EXPECT_FALSE(files_->list(path("missing")));
  EXPECT_FALSE(files_->remove(path("missing")));
}

TEST_F(FileSystemTest, MakesFoldersListsRenamesAndRemoves) {
  ASSERT_TRUE(files_->make_directories(path("x/y/z")));
  EXPECT_TRUE(files_->make_directories(path("x/y/z"))) << "one that exists is success";
  write("x/b", "1");
  write("x/a", "2");
  EXPECT_EQ(*files_->list(path("x")), (std::vector<std::string>{"a", "b", "y"}));
  EXPECT_TRUE(files_->info(path("x"))->directory);
  EXPECT_TRUE(files_->info(path("x/a"))->regular);
  ASSERT_TRUE(files_->rename(path("x/a"), path("x/b")));
  EXPECT_EQ(read("x/b"), "2");
  EXPECT_TRUE(files_->remove(path("x/b")));
  const auto through_file = (write("f", ""), files_->make_directories(path("f/g")));
  EXPECT_FALSE(through_file) << "a file is no folder";
}

TEST_F(FileSystemTest, TellsARotatedFileFromTheOpenOne) {
  write("log", "old");
  const auto open = files_->open(path("log"), OpenMode::kRead);
  ASSERT_TRUE(files_->rename(path("log"), path("log.1")));
  write("log", "new");
  EXPECT_NE((*open)->info()->inode, files_->info(path("log"))->inode);
  EXPECT_EQ((*open)->info()->inode, files_->info(path("log.1"))->inode);
}

TEST_F(FileSystemTest, NonBlockingPipesSayWouldBlockAndThenEnd) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const auto reader = files_->open(path("pipe"), OpenMode::kReadNonBlocking);
  ASSERT_TRUE(reader) << "opening does not wait for a writer";
  const int writer = ::open(path("pipe").c_str(), O_WRONLY | O_CLOEXEC);
  char buffer[8];
  EXPECT_EQ((*reader)->read(buffer)->state, IoState::kWouldBlock);
  ASSERT_EQ(::write(writer, "abc", 3), 3);
  EXPECT_EQ((*reader)->read(buffer)->bytes, 3U);
  ::close(writer);
  EXPECT_EQ((*reader)->read(buffer)->state, IoState::kEnd);
}

TEST_F(FileSystemTest, AFullDiskIsAnError) {
  const auto file = files_->open("/dev/full", OpenMode::kAppend);
  if (!file) GTEST_SKIP() << "this system has no /dev/full";
  const Result<void> written = (*file)->write(std::string_view("x"));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().os_error, ENOSPC);
}

}  // namespace
}  // namespace grace::core

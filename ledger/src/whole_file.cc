#include "whole_file.h"

#include <fcntl.h>

#include "io_error.h"

namespace grace::ledger::internal {

Result<void> store_whole(FileSystem& fs, const std::string& directory, const std::string& name,
                         std::span<const std::byte> bytes) {
  const std::string path = directory + "/" + name;
  const std::string unfinished = path + ".new";
  const int fd = fs.open(unfinished, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return make_io_error("create", unfinished, fd);
  const int written = write_all(fs, fd, bytes, 0);
  const int synced = written < 0 ? 0 : fs.sync_file(fd);
  (void)fs.close(fd);
  if (written < 0) return make_io_error("write", unfinished, written);
  if (synced < 0) return make_io_error("sync", unfinished, synced);
  if (const int renamed = fs.rename(unfinished, path); renamed < 0) {
    return make_io_error("rename", unfinished, renamed);
  }
  if (const int named = fs.sync_directory(directory); named < 0) {
    return make_io_error("sync directory", directory, named);
  }
  return {};
}

}  // namespace grace::ledger::internal
